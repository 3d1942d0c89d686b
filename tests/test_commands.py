"""What the commands do, and that whatever is wrong with the input is said before the recording starts."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import linexp as le
from linexp import cli
from linexp.results import judges, tell_explanations
from linexp.results.folder import Run, load_explanations, load_run, save_explanations, save_run
from tests.colour_world import draw_pictures, make_world

SEED = 1  # every colour is in every part of the split
UNKNOWN = pytest.mark.filterwarnings("ignore:It is not known on which images:UserWarning")
pytestmark = pytest.mark.filterwarnings("ignore:.*is judged by the labels that also explained it")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _there(world: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(world)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("mymodels", None)


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    where = {"images": Path("pictures"), "out": tmp_path / "out", "no_store": True}
    return {"model": "mymodels:build", "layer": ["stem"], "seed": SEED, **where}


@pytest.fixture
def _no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the recording was started")

    monkeypatch.setattr("linexp.results.explaining.record_layers", refuse)


def explain(options: dict[str, Any], **changes: Any) -> None:
    cli.explain(**{**options, **changes})


def weights_of(explanation: le.Explanation) -> dict[str, float]:
    return {term.concept: term.weight for term in explanation.terms}


def test_explanations_say_what_the_network_was_built_to_see(options: dict[str, Any]):
    explain(options, layer=["stem", "head"])
    stem, head = (load_explanations(options["out"] / layer) for layer in ("stem", "head"))
    expected: dict[int, dict[str, float]] = {
        0: {"red": 0.8, "yellow": 0.8},
        1: {"green": 0.8, "yellow": 0.8},
        2: {"blue": 0.8},
    }
    for neuron, weights in expected.items():
        assert weights_of(stem[neuron]) == pytest.approx(weights, abs=0.02)
        assert stem[neuron].bias == pytest.approx(0, abs=0.02)
    assert stem[3].outcome == "constant"
    assert weights_of(head[0]) == pytest.approx({"red": 1.6, "yellow": 1.6}, abs=0.04)
    assert head[0].bias == pytest.approx(1, abs=0.04)
    assert weights_of(head[1]) == pytest.approx({"blue": 0.8, "green": -0.8, "yellow": -0.8}, abs=0.03)


def test_groups_are_concepts(options: dict[str, Any]):
    explain(options, groups=Path("groups.json"), max_terms=1)
    assert load_run(options["out"]).concepts.names[5:] == ("warm", "lit", "cold", "leafy")
    assert load_explanations(options["out"])[0].concepts == ("warm",)


def test_class_names_are_used(options: dict[str, Any], tmp_path: Path):
    (tmp_path / "names.tsv").write_text("blue\tdeep sea\nviolet\tviolet\n")
    explain(options, class_names=tmp_path / "names.tsv")
    assert load_explanations(options["out"])[2].concepts == ("deep sea",)


def test_the_result_says_how_it_was_made(options: dict[str, Any]):
    explain(options, seed=4, max_terms=3)
    run = load_run(options["out"])
    assert run.settings["model"] == "mymodels:build"
    assert (run.settings["seed"], run.settings["explainer"]["max_terms"]) == (4, 3)
    assert run.image_names[0] == str(Path("pictures/black/00.png"))
    assert run.split.test.tolist() == le.Split.random(60, 4).test.tolist()


def test_the_same_command_gives_the_same_bytes(options: dict[str, Any], tmp_path: Path):
    explain(options)
    explain(options, out=tmp_path / "again")
    for path in options["out"].iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_what_explain_prints(options: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    out = options["out"].with_name("my out")
    explain(options, out=out)
    device, *lines = capsys.readouterr().out.splitlines()
    assert device.startswith("device: ")
    quality = "val correlation 1.0000 ± 0.0000, selected"
    assert lines[0].startswith(f"layer stem: 3 of 4 neurons explained, 1.67 terms each, {quality};")
    assert lines[0].endswith("; 0 without a fitting concept, 1 constant on the training images")
    assert lines[1] == "  1 of 4 neurons dead (25.0 %): activation below 0.01 on all 60 images"
    assert lines[2] == "  5 of 5 concepts used"
    assert lines[3].endswith(f"saved in {out}")
    assert lines[4].startswith(f"Next: linexp score '{out}' --simulator ")


def test_a_summary_of_nothing_invents_no_numbers():
    dropped = (le.DroppedConcept("faint", "weak", 0.499, 0.5), le.DroppedConcept("always", "constant", 1.0, 0.5))
    nobody = le.Explanations((le.Explanation(0, (), outcome="constant"),), "stem", dropped)
    concepts = le.ConceptMatrix([[0.0, 1.0, 1.0]] * 6, ["faint", "always", "b"])
    run = Run(le.ActivationMatrix([[2.0]] * 6), concepts, le.Split([0, 1], [2, 3], [4, 5]))
    assert tell_explanations(nobody, run).splitlines() == [
        "layer stem: 0 of 1 neurons explained; 0 without a fitting concept, 1 constant on the training images",
        "  0 of 1 neurons dead (0.0 %): activation below 0.01 on all 6 images",
        "  1 of 3 concepts used; 2 dropped, all of them in dropped.csv",
        "    1 too weak, the mean of their five highest presences is below 0.5 (faint 0.49); "
        "a lower --min-activity keeps them",
        "    1 constant on the training images (always)",
    ]


def make_faint_run() -> Run:
    """Of three neurons one is active in five training images only, one nowhere, though it varies, one everywhere."""
    generator = torch.Generator().manual_seed(0)
    presence = (torch.rand(200, 3, generator=generator) < 0.4).float()
    split = le.Split.random(200)
    values = presence * torch.tensor([0.007, 0.007, 2.0])
    values[split.train[:5], 0] = 5.0
    names = tuple(f"{row}.png" for row in range(200))
    return Run(
        le.ActivationMatrix(values, layer="stem"), le.ConceptMatrix(presence, ["a", "b", "c"]), split, image_names=names
    )


def test_dead_is_dead_on_all_recorded_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Tables 14 and 15: not on the images scored on, not on the training images."""
    run = make_faint_run()
    words = {0: "a", 1: "b", 2: "c"}
    items = tuple(le.Explanation(neuron, (le.Term(word, 1.0),)) for neuron, word in words.items())
    save_run(tmp_path, run)
    save_explanations(tmp_path, le.Explanations(items, "stem"))
    assert tell_explanations(load_explanations(tmp_path), run).splitlines()[1] == (
        "  1 of 3 neurons dead (33.3 %): activation below 0.01 on all 200 images"
    )
    (scores,) = cli.score([tmp_path], table=tmp_path / "table")
    assert run.activations.select([0]).block(run.split.test).max() < 0.01
    said = capsys.readouterr().out
    alive = scores.only([0, 2])
    assert f"  without 1 dead neuron (activation below 0.01 on all recorded images): {alive}\n" in said
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["neurons"], row["dead"], row["no score"]) for row in rows] == [("3", "1", "0"), ("2", "0", "0")]


def test_score_of_a_result(options: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    explain(options)
    capsys.readouterr()
    scores = cli.score([options["out"]])[0]
    assert (scores.n_images, scores.n_undefined, scores.metric) == (12, 1, "correlation")
    assert scores.mean > 0.99
    said = capsys.readouterr().out
    assert said == f"layer stem: test {scores}\n  saved in {options['out'] / 'scores.csv'}\n"
    lines = (options["out"] / "scores.csv").read_text().splitlines()
    assert lines[0] == "neuron,correlation,correlation_error,silent,method,simulator,images,part,n_seen,n_images"
    images = load_run(options["out"]).activations.images
    assert lines[1].startswith(f"0,{scores.of(0)!r},")
    assert lines[4] == f"3,,,0,{options['out']},labels,{images},test,0,12"


@UNKNOWN
def test_scores_of_the_papers_files_are_kept_apart(options: dict[str, Any], tmp_path: Path):
    explain(options)
    columns = ",".join(f"weight{place},concept{place}" for place in range(10))
    padding = "0.0,0," * 8
    for name, first in (("LE_label", "red"), ("LE_siglip", "green")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.csv").write_text(
            f"layer,unit,val correlation,{columns},bias,sim correlation\n"
            f"stem,0,0.9,1.0,{first},0.5,yellow,{padding}0.1,0.9\n"
        )
    right = cli.score([options["out"]], explanations=tmp_path / "LE_label" / "net.csv")[0]
    wrong = cli.score([options["out"]], explanations=tmp_path / "LE_siglip" / "net.csv")[0]
    assert right.neurons == wrong.neurons == (0,)
    assert right.mean > 0.8 > wrong.mean
    (tmp_path / "net.csv").write_text("unit,description,sim correlation\n2,blue,0.3\n1,red,0.1\n")
    baseline = cli.score([options["out"]], explanations=tmp_path / "net.csv")[0]
    assert baseline.neurons == (2, 1)
    assert baseline.of(2) > 0.99
    assert baseline.of(1) < 0
    assert {path.name for path in options["out"].glob("scores*")} == {
        "scores-LE_label-net.csv",
        "scores-LE_siglip-net.csv",
        f"scores-{tmp_path.name}-net.csv",
    }


@UNKNOWN
def test_explanations_of_another_layer_are_refused_unless_forced(options: dict[str, Any], tmp_path: Path):
    explain(options)
    other = tmp_path / "other.csv"
    le.Explanations((le.Explanation(0, (le.Term("red", 1.0),)),), "head").to_csv(other)
    with pytest.raises(ValueError, match=r"are of layer 'head', the result is of layer 'stem'\..*use --force"):
        cli.score([options["out"]], explanations=other)
    assert cli.score([options["out"]], explanations=other, force=True)[0].neurons == (0,)


@UNKNOWN
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0,rde", r"The concept 'rde' is not among the 5 of the result in .* of neuron 0\. Did you mean 'red'"),
        ("9,red", r"Neuron 9 is not among the 4 neurons of layer 'stem'"),
    ],
)
def test_explanations_that_do_not_fit_the_result(options: dict[str, Any], tmp_path: Path, line: str, said: str):
    explain(options)
    (tmp_path / "net.csv").write_text(f"unit,description\n{line}\n")
    with pytest.raises(ValueError, match=said):
        cli.score([options["out"]], explanations=tmp_path / "net.csv")[0]
    assert not list(options["out"].glob("scores*"))


def test_show_a_neuron(options: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    explain(options)
    capsys.readouterr()
    cli.show(options["out"], 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("neuron 2 ≈ 0.7")
    assert lines[0].endswith("   (test correlation 1.00 ± 0.00)")
    assert re.fullmatch(r" +0\.7\d ± \S+  █{20}  blue  \(chosen again in \d+% of redraws\)", lines[1])
    assert lines[2] == "layer stem, scored on 12 test images; val 1.00 ± ?, selected"
    assert lines[3].startswith("activation 0.0")
    assert (lines[4], lines[10]) == ("highest on", "lowest on")
    assert all("pictures/blue/" in Path(line).as_posix() for line in lines[5:10])
    values = [float(line.split()[0]) for line in lines[5:10] + lines[11:]]
    assert values[:5] == sorted(values[:5], reverse=True)
    assert values[5:] == sorted(values[5:])
    assert len(values) == 10


def test_show_marks_terms_that_are_seldom_chosen_again_and_lists_synonyms(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    explain(options)
    found = load_explanations(options["out"])
    marked = [replace(term, kept=0.3, synonyms=("navy", "azure")) for term in found[2].terms]
    items = tuple(replace(item, terms=tuple(marked)) if item.neuron == 2 else item for item in found)
    save_explanations(options["out"], replace(found, items=items))
    capsys.readouterr()
    cli.show(options["out"], 2)
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith("blue  (unstable: chosen again in 30% of redraws)  (also: navy, azure)")


def test_show_a_constant_neuron_and_one_that_is_not_there(options: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    explain(options)
    capsys.readouterr()
    cli.show(options["out"], 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "neuron 3 is constant on the training images (0.00): not explained"
    assert lines[1] == "layer stem, scored on 12 test images"
    save_explanations(options["out"], load_explanations(options["out"])[1:])
    with pytest.raises(ValueError, match=r"Neuron 0 is not in this result\. Its 3 neurons are 1, 2, 3\."):
        cli.show(options["out"], 0)


def test_the_tree_of_layers(capsys: pytest.CaptureFixture[str]):
    cli.layers(model="mymodels:build", side=16)
    assert capsys.readouterr().out.splitlines() == [
        "mymodels:build",
        "├── stem  Conv2d  4×16×16",
        "├── rest  Sequential  4",
        "│   ├── rest.0  ReLU  4×16×16",
        "│   ├── rest.1  AdaptiveAvgPool2d  4×1×1",
        "│   └── rest.2  Flatten  4",
        "├── head  Linear  2",
        "└── unused  Linear  does not run",
    ]
    cli.layers(model="mymodels:build", depth=1, side=16)
    assert [line[4:8] for line in capsys.readouterr().out.splitlines()[1:]] == ["stem", "rest", "head", "unus"]


def test_a_model_of_another_input_size(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(
        RuntimeError, match=r"fails on a grey picture of 224 by 224 pixels \(.*\)\. Give the side .* --side"
    ):
        cli.layers(model="mymodels:fixed")
    cli.layers(model="mymodels:fixed", side=8)
    assert capsys.readouterr().out.splitlines()[-1] == "└── 1  Linear  5"
    for depth, side in ((0, 8), (1, 0)):
        with pytest.raises(ValueError, match=r"(depth|side) is 0\. It must be at least 1"):
            cli.layers(model="mymodels:fixed", depth=depth, side=side)


@pytest.mark.usefixtures("_no_recording")
class TestBeforeTheRecording:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"concepts": "lables"}, r"concepts is 'lables'\. Did you mean 'labels'\? Choose one of: labels"),
            ({"pool": "men"}, r"pool is 'men'\. Did you mean 'mean'"),
            ({"channels": "middle"}, r"channels is 'middle'\. .*Choose one of: auto, first, last"),
            ({"token": -1}, r"token is -1\. It must be at least 0"),
            ({"seed": -1}, r"seed is -1\. It must be at least 0"),
            ({"batch_size": 0}, r"batch_size is 0\. It must be at least 1"),
            ({"workers": -1}, r"workers is -1\. It must be at least 0"),
            ({"device": "cudda"}, r"The device 'cudda' cannot be used here .* Use device 'cpu'"),
            ({"model": "mymodels:biuld"}, r"has no function 'biuld'\. Did you mean 'build'"),
            ({"layer": ["stam"]}, r"The model has no layer 'stam'\. Did you mean 'stem'\? Layers: stem, rest, head"),
            ({"layer": ["stem", "stem"]}, r"'stem'.* each once"),
            ({"images": Path("picture")}, r"There is no folder 'picture'\. Did you mean 'pictures'"),
            ({"images": Path("groups.json")}, r"'groups.json' is a file, not a folder\. Give the folder"),
            ({"weights": Path("none.safetensors")}, r"none\.safetensors"),
            ({"groups": Path("none.json")}, r"There is no file 'none.json' to read groups from\. Give its path"),
            ({"class_names": Path("none.tsv")}, r"There is no file 'none.tsv' to read class names from"),
        ],
    )
    def test_options(self, options: dict[str, Any], changes: dict[str, Any], said: str):
        with pytest.raises((ValueError, OSError), match=said):
            explain(options, **changes)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("animal: cat", r"is not JSON .* Write it as"),
            ('{"warm": ["redd"]}', r"'warm' has the member 'redd', .* Did you mean 'red'\? Correct"),
            ('{"a": ["b"], "b": ["a"]}', r"contains itself \(a → b → a\)\. Break the circle"),
            ('{"a": [7]}', r"the class number 7, but the classes are 0 to 4"),
        ],
    )
    def test_groups(self, options: dict[str, Any], tmp_path: Path, text: str, said: str):
        (tmp_path / "groups.json").write_text(text)
        with pytest.raises(ValueError, match=said):
            explain(options, groups=tmp_path / "groups.json")
        assert not options["out"].exists()

    def test_class_names_of_other_folders(self, options: dict[str, Any], tmp_path: Path):
        (tmp_path / "names.tsv").write_text("n01440764\ttench\n")
        with pytest.raises(
            ValueError, match=r"None of the 1 folders named in .* \(black, blue, green, red, yellow\)\. Write"
        ):
            explain(options, class_names=tmp_path / "names.tsv")

    def test_pictures(self, options: dict[str, Any], tmp_path: Path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"No images found in '.*empty'\. Give a folder with pictures"):
            explain(options, images=tmp_path / "empty")
        with pytest.raises(ValueError, match=r"have no labels\. Sort them into one folder per class"):
            explain(options, images=Path("pictures/red"))
        draw_pictures(tmp_path / "few", 2)
        with pytest.raises(ValueError, match=r"10 images split by .* leave fewer than two .* Use more images"):
            explain(options, images=tmp_path / "few")
        (tmp_path / "one").mkdir()
        (tmp_path / "few" / "red").rename(tmp_path / "one" / "red")
        with pytest.raises(ValueError, match=r"All 2 images have the label 'red'.* Add images of other classes"):
            explain(options, images=tmp_path / "one")
        assert not options["out"].exists()

    def test_concepts_that_are_all_too_rare(self, options: dict[str, Any], tmp_path: Path):
        draw_pictures(tmp_path / "few", 4)
        with pytest.raises(ValueError, match=r"None of the 5 concepts is left.* min_activity"):
            explain(options, images=tmp_path / "few", min_activity=1.0)

    def test_a_place_that_cannot_be_written(self, options: dict[str, Any]):
        options["out"].write_text("a file")
        with pytest.raises(OSError, match=r"Cannot write in the folder '.*out' .* Choose another folder"):
            explain(options)

    def test_a_layers_place_that_cannot_be_written(self, options: dict[str, Any]):
        options["out"].mkdir()
        (options["out"] / "head").write_text("a file")
        with pytest.raises(OSError, match=r"Cannot write in the folder '.*head' .* Choose another folder"):
            explain(options, layer=["stem", "head"])

    def test_a_broken_picture_stops(self, options: dict[str, Any], tmp_path: Path):
        draw_pictures(tmp_path / "some")
        broken = tmp_path / "some" / "red" / "03.png"
        broken.write_bytes(broken.read_bytes()[:100])
        with pytest.raises(
            OSError, match=r"1 of 60 pictures cannot be read: '.*red.03.png' \(.*\)\. Remove .* --skip-broken"
        ):
            explain(options, images=tmp_path / "some")


def test_a_broken_picture_is_left_out_if_asked_for(options: dict[str, Any], tmp_path: Path):
    draw_pictures(tmp_path / "some")
    broken = tmp_path / "some" / "red" / "03.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"1 of 60 images cannot be read and are left out: '.*red.03.png'"):
        explain(options, images=tmp_path / "some", skip_broken=True)
    run = load_run(options["out"])
    assert run.activations.n_images == run.concepts.n_images == len(run.image_names) == 59
    assert str(broken) not in run.image_names
    assert run.split.test.max() < 59
    assert weights_of(load_explanations(options["out"])[2]) == pytest.approx({"blue": 0.8}, abs=0.02)


def test_a_report_of_result_folders(tmp_path: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    explain(options)
    cli.score([options["out"]])
    capsys.readouterr()
    page = cli.report([options["out"]], out=tmp_path / "report")
    assert page == tmp_path / "report" / "index.html"
    assert capsys.readouterr().out.splitlines()[-1] == f"Open it in a browser: {page.resolve().as_uri()}"
    assert len(list((tmp_path / "report" / "thumbs").iterdir())) > 5
    assert str(tmp_path) not in page.read_text(encoding="utf-8")
    # A folder of results is as good as its results.
    again = cli.report([options["out"].parent], out=tmp_path / "one.html", single_file=True)
    assert again == tmp_path / "one.html"
    assert len(again.read_bytes()) > len(page.read_bytes()) + 1000


def test_a_report_without_its_pictures(tmp_path: Path, options: dict[str, Any]):
    draw_pictures(tmp_path / "pictures")
    explain(options, images=tmp_path / "pictures")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    with pytest.warns(UserWarning, match=r"There are no pictures in .* The report of 'out' has no pictures\."):
        cli.report([options["out"]], out=tmp_path / "bare")
    assert not (tmp_path / "bare" / "thumbs").exists()
    cli.report([options["out"]], out=tmp_path / "report", images=tmp_path / "moved")
    assert (tmp_path / "report" / "thumbs").exists()
    with pytest.raises(FileNotFoundError, match="There are no pictures in"):
        cli.report([options["out"]], out=tmp_path / "report", images=tmp_path / "nowhere")


CONSE, SIGLIP = "conse:efficientnet_lite1", "hf:google/siglip-so400m-patch14-384"


@pytest.mark.parametrize(
    ("model", "encoder", "packaged", "downloaded", "expected"),
    [
        (
            "net:build",
            None,
            True,
            False,
            (CONSE, f"the paper's judge is {SIGLIP}, which is downloaded at its first use"),
        ),
        ("net:build", None, True, True, (SIGLIP, "")),
        ("net:build", None, False, True, (SIGLIP, "")),
        (
            *("net:build", None, False, False),
            (
                SIGLIP,
                "no judge of words is on this machine: this one is downloaded at its first use; without it the labels "
                "judge what they explained",
            ),
        ),
        ("net:build", "hf:google/siglip-large-patch16-384", True, False, (SIGLIP, "")),
        ("net:build", SIGLIP, True, False, ("hf:google/siglip-large-patch16-384", "")),
        ("efficientnet_lite0", "conse:efficientnet_lite2", True, False, (CONSE, "")),
        ("efficientnet_lite0", CONSE, True, True, ("conse:efficientnet_lite2", "")),
        ("efficientnet_lite2", CONSE, True, False, ("conse:efficientnet_lite0", "")),
        ("net:build", CONSE, False, True, (SIGLIP, "")),
    ],
)
def test_the_judge_that_is_suggested(
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    encoder: str | None,
    packaged: bool,
    downloaded: bool,
    expected: tuple[str, str],
):
    """It is neither what explains nor what is explained, and where possible one that needs no download."""
    monkeypatch.setattr(judges, "is_packaged", lambda _: packaged)
    monkeypatch.setattr(judges, "is_downloaded", lambda _: downloaded)
    assert judges.suggest_judge(model, encoder) == expected


def test_what_is_here_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert judges.is_packaged("conse:efficientnet_lite1")
    assert not judges.is_packaged("conse:efficientnet_lite9")
    assert not judges.is_downloaded("hf:google/siglip-so400m-patch14-384")


def test_the_next_command_of_labels_names_another_judge(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(judges, "is_packaged", lambda _: False)
    monkeypatch.setattr(judges, "is_downloaded", lambda _: False)
    explain(options)
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == f"Next: linexp score {options['out']} --simulator {SIGLIP}"
    assert said[-1].startswith("  (no judge of words is on this machine: ")


def test_labels_that_judge_themselves_are_warned_of(options: dict[str, Any], tmp_path: Path):
    explain(options)
    said = r"judged by the labels that also explained it, so the scores are higher than by a model that only sees"
    with pytest.warns(UserWarning, match=said):
        cli.score([options["out"]])
