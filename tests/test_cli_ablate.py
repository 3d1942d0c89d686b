"""``linexp ablate`` as a user meets it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

import linexp as le
from linexp.models import load_model
from linexp.results.folder import load_explanations, load_run
from linexp.results.scoring import origin_of, save_apart
from linexp.score import Origin, read_scores
from tests.colour_world import COLOURS, make_world
from tests.command_line import Run, command_line

# The logits are 3·(how red, green, blue) and constants: with every other class an output of its own.
CLASSIFIER = """
import torch
from torch import nn
from linexp import to_unit_tensor
from tests.colour_encoder import WorldEncoder

def net():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4, 3)[:, :, None, None])
        model[0].bias.zero_()
        model[3].weight.copy_(3 * torch.tensor(
            [[-1.0, -1, -1, 0], [0, -1, 2, 0], [-1, 2, 0, 0], [2, -1, 0, 0], [1.5, 1.5, -1, 0]]))
        model[3].bias.zero_()
    return model

def build():
    return net(), to_unit_tensor

def inner():
    first, *rest = net()
    first.weight.data *= 1.1
    return nn.Sequential(first, nn.Sequential(Rough(), *rest)), to_unit_tensor

class Rough(nn.Module):  # how much positions differ counts too, so one value everywhere is not the same
    def forward(self, x):
        return x + 1000 * x.var((2, 3), keepdim=True)

def headless():
    return net()[:2], to_unit_tensor

def faint():
    model = net()
    with torch.no_grad():
        model[0].weight[3, 0] = 0.009  # the last neuron sees red, but never gets active
        model[3].weight[3, 3] = 300.0
    return model, to_unit_tensor

def many():
    model = net()
    model[3] = nn.Linear(4, 1000)
    return model, to_unit_tensor

def see():
    return WorldEncoder()

def judge():
    return WorldEncoder("judge", seed=5)
"""
EXPLAIN = ("explain", "--images", "pictures", "--layer", "0")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "mymodels.py").write_text(CLASSIFIER)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def result(linexp: Run, tmp_path: Path) -> Path:
    assert linexp(*EXPLAIN, "--model", "mymodels:build", "--out", tmp_path / "out").code == 0
    return tmp_path / "out"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (tmp_path / "theirs.json").write_text('[[0, "green"], [1, "red"], [2, "blue"]]')
    return tmp_path / "theirs.json"


@pytest.fixture
def _judge(linexp: Run) -> None:
    encoder = ("--encoder", "mymodels:judge", "--images", "pictures", "--groups", "groups.json", "--max-share", 0.5)
    assert linexp("calibrate", *encoder, "--out", "judge.json").code == 0


def change_settings(result: Path, **settings: object) -> None:
    manifest = json.loads((result / "run.json").read_text())
    manifest["settings"] |= settings
    manifest["settings"] = {name: value for name, value in manifest["settings"].items() if value != "gone"}
    (result / "run.json").write_text(json.dumps(manifest))


def literal(result: Path, explanations: le.Explanations, scaling: str = "optim", **how) -> le.AblationScores:
    """What the command does, in Python."""
    run = load_run(result)
    images = le.ImageFolder("pictures")
    wanted = [list(images.files).index(Path(name).relative_to("pictures").as_posix()) for name in run.image_names]
    simulated = le.simulate(explanations, run.concepts)
    simulated = le.ActivationMatrix(simulated.values, simulated.neurons, "0", simulated.images)
    chosen, model = le.ImageSubset(images, wanted), load_model("mymodels:build")
    return le.AblationScorer(scaling, **how).score(
        simulated, run.activations, run.split, model, chosen, show_progress=False
    )


def test_ablate(linexp: Run, result: Path, tmp_path: Path):
    ended = linexp("ablate", result)
    assert ended.code == 0, ended.err
    found = re.search(r"layer 0: test ablation\(optim\) (\S+) ± \S+ \(3 neurons, 1 undefined, 12 images\)", ended.out)
    assert float(found.group(1)) > 0.7
    expected = literal(result, load_explanations(result))
    alone, added = expected.by_constant, le.compare_scores(expected, expected.by_constant)
    assert (
        f"  of which {alone.mean:.4f} ± {alone.sem:.4f} by a constant alone; "
        f"the simulation adds {added.mean:+.4f} ± {added.sem:.4f}\n"
    ) in ended.out
    assert alone.mean > 0.1
    lowered, by_simulation = expected.n_lowered, expected.signed[:3]
    assert "  'set' is exact here; the recorded activations themselves score 1.0000 ± 0.0000\n" in ended.out
    assert f"  changes by sign: simulation {by_simulation.mean():+.4f} ± " in ended.out
    assert f"; the simulation lowers the loss for {lowered} of 3 neurons\n" in ended.out
    said = [line for line in ended.out.splitlines() if "judge" in line]
    assert said[0].startswith("  judged by labels, which know the class of each test image, the one whose loss is ")
    assert said[1].endswith("counts against it as a rise does. --simulator names a judge that sees images alone")
    assert f"  the model is right on {100 * expected.accuracy:.1f} % of the test images; temperature " in ended.out
    assert expected.accuracy == pytest.approx(11 / 12)
    rows = list(csv.DictReader((result / "scores-ablation-optim.csv").read_text().splitlines()))
    # the last neuron is dead
    assert [row["ablation(optim)"] != "" for row in rows] == [True, True, True, False]
    assert [float(row["ablation(optim)_constant"]) for row in rows[:3]] == expected.constant[:3].tolist()
    (tmp_path / "outputs.txt").write_text("".join(f"{name}\t{n}\n" for n, name in enumerate(COLOURS)))
    again = linexp("ablate", result, "--outputs", tmp_path / "outputs.txt", "--scaling", "norm")
    assert again.code == 0, again.err
    assert "constant" not in again.out  # it is the mean, and scores 0


def test_means_without_dead_neurons(linexp: Run, tmp_path: Path):
    """Dead on all recorded images: the last neuron varies, matters and has a score, but stays below 0.01."""
    assert linexp(*EXPLAIN, "--model", "mymodels:faint", "--out", tmp_path / "faint").code == 0
    ended = linexp("ablate", tmp_path / "faint")
    assert ended.code == 0, ended.err
    assert re.search(
        r"ablation\(optim\) \S+ ± \S+ \(4 neurons, 12 images\)\n  without 1 dead neuron \(activation below 0\.01 "
        r"on all recorded images\): ablation\(optim\) \S+ ± \S+ \(3 neurons, 12 images\)\n",
        ended.out,
    )


def test_inner_layers(linexp: Run, result: Path, tmp_path: Path):
    """Positions keep their pattern where it is read; with "set" it is said what a perfect simulation scores."""
    inner = tmp_path / "inner"
    assert linexp(*EXPLAIN, "--model", "mymodels:inner", "--out", inner).code == 0
    both = linexp("ablate", result, inner, "--table", tmp_path / "table")
    assert both.code == 0, both.err
    assert "layer 0: test ablation(optim,shift) " in both.out
    assert (
        "  'shift' keeps the pattern over positions, which more than a linear head reads; the recorded activations "
        "themselves score 1.0000 ± 0.0000\n"
    ) in both.out
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    scored = [(row["method"], row["ablation(optim)"] != "", row["ablation(optim,shift)"] != "") for row in rows]
    assert scored == [
        *((name, True, False) for name in (str(result), "a constant")),
        *((name, False, True) for name in (str(inner), "a constant")),
    ]
    assert (inner / "scores-ablation-optim-shift.csv").exists()
    ended = linexp("ablate", inner, "--replace", "set", "--table", tmp_path / "set")
    assert ended.code == 0, ended.err
    found = re.search(
        r"  'set' overwrites the pattern over positions, so even the recorded activations themselves score (\S+) ± ",
        ended.out,
    )
    rows = list(csv.DictReader((inner / "scores-ablation-optim-set.csv").read_text().splitlines()))
    ceilings = [float(row["ablation(optim,set)_ceiling"]) for row in rows[:3]]
    assert float(found.group(1)) == pytest.approx(sum(ceilings) / 3, abs=1e-4)
    assert max(ceilings) < 0.95
    assert {row["replace"] for row in rows} == {"set"}
    table = list(csv.DictReader((tmp_path / "set.csv").read_text().splitlines()))
    assert [row["method"] for row in table] == [str(inner), "a constant", "the recorded activations"]
    assert float(table[2]["ablation(optim,set)"]) == pytest.approx(sum(ceilings) / 3)


def cells(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]


def test_methods_in_one_table(linexp: Run, result: Path, other: Path, tmp_path: Path):
    ended = linexp("ablate", result, other, "--table", tmp_path / "table")
    assert ended.code == 0, ended.err
    explanations = load_explanations(result), le.Explanations.from_csv(other)
    ours, theirs = (literal(result, item.only([0, 1, 2])) for item in explanations)
    printed = cells(ended.out)
    assert [row[:3] for row in printed[:3]] == [
        [str(result), "0", "3"],
        [str(other), "0", "3"],
        ["a constant", "0", "3"],
    ]
    expected = [(ours, ours.by_norm), (theirs, theirs.by_norm), (ours.by_constant, None)]
    for row, (first, second) in zip(printed, expected, strict=False):
        assert row[-2] == f"{first.mean:.4f} ± {first.sem:.4f}"
        assert row[-1] == ("0.0000 ± 0.0000" if second is None else f"{second.mean:.4f} ± {second.sem:.4f}")
    pairs = {(row[1], row[2], row[3]): row[4] for row in printed[3:]}
    differences = {
        (str(result), str(other)): le.compare_scores(ours, theirs),
        (str(result), "a constant"): le.compare_scores(ours, ours.by_constant),
        (str(other), "a constant"): le.compare_scores(theirs, ours.by_constant),
    }
    for (first, second), found in differences.items():
        shown = f"{found.mean:.4f} ± {found.sem:.4f}".replace("-", "−")
        assert pairs[first, second, "ablation(optim)"] == shown
    assert len(pairs) == 6
    assert f"{result}: 3 of its 4 neurons, those that all methods explain\n" in ended.out
    assert "a constant: " not in ended.out
    assert "ablation(optim)_sem" in (tmp_path / "table.csv").read_text()


@pytest.mark.usefixtures("_judge")
def test_every_score_has_a_file_of_its_own(linexp: Run, result: Path, other: Path, tmp_path: Path):
    judge = ("--simulator", "mymodels:judge", "--calibration", "judge.json")
    for more in ((), ("--scaling", "norm"), ("--scaling", "optim-adam", "--temperature", 1.1), ("--replace", "shift")):
        ended = linexp("ablate", result, other, *more)
        assert ended.code == 0, ended.err
    ended = linexp("ablate", result, *judge)
    assert ended.code == 0
    assert "changes by sign: " in ended.out
    assert "judged by labels" not in ended.out  # the judge sees the images alone
    before = {path: path.read_bytes() for path in result.glob("scores*")}
    kinds = ("optim", "norm", "optim-adam-T-1.1", "optim-shift")
    assert {path.name for path in before} == {
        *(f"scores-ablation-{kind}.csv" for kind in kinds),
        *(f"scores-{tmp_path.name}-theirs-ablation-{kind}.csv" for kind in kinds),
        "scores-by-mymodels-judge-ablation-optim.csv",
    }
    images = load_run(result).activations.images or ""
    (scores,) = read_scores(result / "scores-by-mymodels-judge-ablation-optim.csv")
    assert scores.origin == Origin(str(result), "mymodels:judge", images, "test", 0)
    assert (scores.metric, scores.n_images) == ("ablation(optim)", 12)
    (scores,) = read_scores(result / f"scores-{tmp_path.name}-theirs-ablation-optim-adam-T-1.1.csv")
    assert scores.origin == Origin(str(other), "labels", images, "test")
    assert scores.metric == "ablation(optim-adam,T=1.1)"
    assert linexp("ablate", result, other).code == 0
    assert linexp("score", result, other).code == 0
    after = {path: path.read_bytes() for path in result.glob("scores*")}
    assert {path: after[path] for path in before} == before  # the same once more; correlations are beside them
    assert len(after) == len(before) + 2


def test_methods_of_the_same_file_name_are_kept_apart(linexp: Run, result: Path, tmp_path: Path):
    paths = [tmp_path / folder / "milan" / "layer.csv" for folder in ("a", "b")]
    for path, word in zip(paths, ("red", "green"), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(f"neuron,text\n0,{word}\n1,blue\n")
    for _ in range(2):
        assert linexp("score", result, *paths).code == 0
    found = [result / f"scores-milan-layer{suffix}.csv" for suffix in ("", "-2")]
    assert [read_scores(path)[0].origin.method for path in found] == [str(path) for path in paths]
    assert len(list(result.glob("scores-milan*"))) == 2


def test_scores_of_unknown_origin_are_replaced(linexp: Run, result: Path):
    run = load_run(result)
    case = le.Result.of(run, load_explanations(result), folder=result)
    scores = le.Scores(run.activations.values[0], (0, 1, 2, 3), "correlation", 2, None, origin_of(case, None))
    for text in ("neuron,correlation,correlation_error\n0,0.5,\n", "neuron,text\n0,red\n", "nothing\n"):
        (result / "scores.csv").write_text(text)
        assert save_apart(case, scores, None) == result / "scores.csv"
        assert read_scores(result / "scores.csv")[0].origin == scores.origin


def test_labels_that_are_not_the_outputs(linexp: Run, result: Path, tmp_path: Path):
    outputs = tmp_path / "outputs.txt"
    outputs.write_text("".join(f"{name}\t{(n + 2) % 5}\n" for n, name in enumerate(COLOURS)))
    ended = linexp("ablate", result, "--outputs", outputs)
    assert ended.code == 0, ended.err
    assert f"The model is right on 0.0 % of the test images of '{result}', and naming one class for all is" in ended.err
    assert "so their labels are perhaps not its outputs. Say with --outputs which output each class is." in ended.err
    outputs.write_text("red\t0\n")
    # said before the simulator, which there is not, is looked for
    refused = linexp("ablate", result, "--outputs", outputs, "--simulator", "mymodels:none")
    assert "does not say which output the class 'black" in refused.err
    change_settings(result, class_names="imagenet")  # explained so, the outputs are ImageNet's too
    assert "imagenet does not say which output the class 'black" in linexp("ablate", result).err
    assert linexp("ablate", result, "--outputs", outputs).err == refused.err
    outputs.write_text("red\tone\n")
    assert f"'one' in '{outputs}' is no number of an output." in linexp("ablate", result, "--outputs", outputs).err


def test_a_model_of_other_classes(linexp: Run, tmp_path: Path):
    assert linexp(*EXPLAIN, "--model", "mymodels:many", "--out", tmp_path / "many").code == 0
    ended = linexp("ablate", tmp_path / "many", "--simulator", "mymodels:none")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "Error: The images have 5 classes and the model has 1000 outputs. Pass labels=, the position of each image's "
        "class in the model's output (on the command line: --outputs); images of classes that the model does not tell "
        f"apart cannot be used for this. It is said of '{tmp_path / 'many'}'.\n"
    )


def test_a_head_that_is_not_found(linexp: Run, result: Path, tmp_path: Path):
    assert linexp(*EXPLAIN, "--model", "mymodels:headless", "--out", tmp_path / "headless").code == 0
    ended = linexp("ablate", result, tmp_path / "headless")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "Error: The model returns [3, 4, 1, 1] for 3 images, so it is no classifier. Use a model that returns logits "
        f"[images, classes]. It is said of '{tmp_path / 'headless'}'.\n"
    )


@pytest.mark.usefixtures("_judge")
def test_images_without_labels(linexp: Run, world: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (world / "pictures").glob("*/*.png"):
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    text = ("--concepts", "text", "--encoder", "mymodels:judge", "--calibration", "judge.json", "--vocabulary")
    explained = linexp(
        *("explain", "--model", "mymodels:build", "--layer", "0", "--images", flat, "--out", tmp_path / "out"),
        *(*text, "words.txt"),
    )
    assert explained.code == 0, explained.err
    ended = linexp("ablate", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "Error: The images have no labels, and without them there is no loss to compare. Pass labels=, the class of "
        "each image as a position in the model's output (on the command line: pictures in a sub-folder for each class)"
        f". It is said of '{tmp_path / 'out'}'.\n"
    )
    ended = linexp("ablate", tmp_path / "out", "--outputs", "imagenet")
    assert "Error: The pictures are in no sub-folders, so imagenet cannot say which output the class of" in ended.err


def test_results_that_cannot_be_ablated(linexp: Run, result: Path):
    change_settings(result, images="OpenMoji")
    ended = linexp("ablate", result)
    assert ended.err == (
        f"Error: The result in '{result}' is of the demo's drawings, and their groups are no outputs of "
        "'mymodels:build', so there is no loss to compare. Ablate a result of pictures of the model's own classes.\n"
    )
    change_settings(result, images="pictures", pool="gone")
    assert f"The result in '{result}' does not say its 'pool', so it cannot be told" in linexp("ablate", result).err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layer,neuron,text\nhead,0,red\n", "are of layer 'head', the result is of layer '0'. Give explanations of t"),
        ("neuron,text\n0,red\n900,red\n", "Neuron 900 is not among the 4 neurons of layer '0'"),
        ("neuron,colour,mood\n0,red,warm\n", "none is called description or text or explanation or label or concept"),
        ("number,text\n0,red\n", "none is called neuron or unit"),
        ("unit,val correlation,weight0,concept0\n0,0.5,1,red\n", "bias is missing"),
        ("neuron,text\n0,red\n1,yelow\n", "The concept 'yelow' is not among the 5 of the result in '"),
        (
            "neuron,text\n1,yelow\n",
            "' says it of neuron 1. Did you mean 'yellow'? Name a model that judges any text, w",
        ),
    ],
)
@pytest.mark.parametrize("command", ["score", "ablate"])
def test_explanations_that_do_not_fit(linexp: Run, result: Path, tmp_path: Path, command: str, text: str, said: str):
    (tmp_path / "e.csv").write_text(text)
    ended = linexp(command, result, tmp_path / "e.csv")
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err, ended.err


def test_explanations_whose_layer_is_called_otherwise_are_taken_by_force(linexp: Run, result: Path, tmp_path: Path):
    (tmp_path / "e.csv").write_text("layer,neuron,text\nhead,0,red\n")
    for command in ("score", "ablate"):
        ended = linexp(command, result, tmp_path / "e.csv", "--force")
        assert ended.code == 0, ended.err


@pytest.mark.usefixtures("_judge")
def test_a_text_the_simulator_cannot_encode_is_traced(
    linexp: Run, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tests.colour_encoder import WorldEncoder

    def refuse(self: WorldEncoder, texts: list[str]):
        raise ValueError(f"The text '{texts[0]}' has 99 tokens, and 'judge' reads at most 77. Shorten it.")

    monkeypatch.setattr(WorldEncoder, "encode_texts", refuse)
    (tmp_path / "e.csv").write_text("neuron,text\n1,red things\n")
    judge = ("--simulator", "mymodels:judge", "--calibration", "judge.json", "--explanations", tmp_path / "e.csv")
    ended = linexp("ablate", result, *judge)
    assert ended.err.splitlines()[-1] == (
        "Error: The text 'red things' has 99 tokens, and 'judge' reads at most 77. Shorten it. "
        f"It is said of neuron 1 in '{tmp_path / 'e.csv'}'."
    )


def test_bad_settings(linexp: Run, result: Path):
    assert "scaling is 'best'" in linexp("ablate", result, "--scaling", "best").err
    assert "temperature is 0.0" in linexp("ablate", result, "--temperature", 0).err
    assert "No such option" in linexp("ablate", result, "--part", "train").err  # ablation scores are of test images


def test_compare_ablates_every_method(linexp: Run, tmp_path: Path):
    start = ("compare", "--images", "pictures", "--layer", "0", "--model", "mymodels:build", "--methods", "best,random")
    ended = linexp(*start, "--ablate", "--no-report", "--out", tmp_path / "r")
    assert ended.code == 0, ended.err
    with (tmp_path / "r" / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        folder = tmp_path / "r" / line["method"]
        (file,) = folder.glob("scores-ablation*.csv")
        (kept,) = read_scores(file)
        by_hand = literal(folder, load_explanations(folder), "norm")
        assert kept.values.tolist() == pytest.approx(by_hand.values.tolist(), abs=1e-6, nan_ok=True)
        assert float(line[kept.metric]) == kept.mean
    assert [line["method"] for line in lines] == ["best", "random"]
    refused = linexp(*start[:-4], "--model", "mymodels:many", "--methods", "best", "--ablate", "--out", tmp_path / "s")
    assert (refused.code, (tmp_path / "s" / "best").exists()) == (1, False)
    assert "outputs" in refused.err
