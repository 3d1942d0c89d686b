"""Several methods on the same neurons, images and simulator: one table, differences, files that never collide."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import linexp as le
from linexp.results.folder import load_explanations, load_run
from linexp.score import Origin, read_scores
from tests.colour_world import make_world
from tests.command_line import Run, command_line

EXPLAIN = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--seed", "1")
JUDGE = ("--simulator", "mymodels:judge", "--calibration", "judge.json")
# What somebody else says of the four neurons; of the last, which is dead, nobody can be right.
WRONG = '[[0, "green"], [1, "red"], [2, "blue"], [3, "black"]]'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def result(linexp: Run, tmp_path: Path) -> Path:
    assert linexp(*EXPLAIN, "--out", tmp_path / "ours").code == 0
    return tmp_path / "ours"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (tmp_path / "theirs.json").write_text(WRONG)
    return tmp_path / "theirs.json"


@pytest.fixture
def _judge(linexp: Run) -> None:
    encoder = ("--encoder", "mymodels:judge", "--images", "pictures", "--groups", "groups.json", "--max-share", 0.5)
    assert linexp("calibrate", *encoder, "--out", "judge.json").code == 0


def cells(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]


def test_means_without_dead_neurons(linexp: Run, tmp_path: Path):
    """The last neuron's activation stays below 0.01, though it varies and has a score (Appendix C.2)."""
    assert linexp(*EXPLAIN, "--model", "mymodels:faint", "--out", tmp_path / "faint").code == 0
    ended = linexp("score", tmp_path / "faint", "--table", tmp_path / "table.csv")
    every, alive = cells(ended.out)
    assert "without 1 dead neuron (activation below 0.01 on all recorded images): correlation" in ended.out
    assert (every[2], every[5], alive[0], alive[2], alive[5]) == ("4", "1", f"{every[0]}, without dead", "3", "0")
    rows = csv.DictReader((tmp_path / "faint" / "scores.csv").read_text().splitlines())
    scores = [float(row["correlation"]) for row in rows]
    assert float(every[-1].split()[0]) == pytest.approx(sum(scores) / 4, abs=1e-4)
    assert float(alive[-1].split()[0]) == pytest.approx(sum(scores[:3]) / 3, abs=1e-4)


def test_methods_and_metrics_in_one_table(linexp: Run, result: Path, other: Path, tmp_path: Path):
    metrics = ("--metrics", "correlation, f1,auprc", "--top-share", 0.25, "--table", tmp_path / "table.md")
    ended = linexp("score", result, other, *metrics)
    assert ended.code == 0, ended.err
    ours, theirs, *differences = cells(ended.out)
    assert ours[:3] == [str(result), "stem", "4"]
    assert theirs[:4] == [str(other), "stem", "4", "1.0000"]
    assert (ours[5:9], theirs[5:9]) == (["1", "1", "0", "0"], ["1", "1", "0", "unknown"])
    run = load_run(result)
    found: dict[Path, list[le.Scores]] = {}
    for path, explanations in ((result, load_explanations(result)), (other, le.Explanations.from_csv(other))):
        simulated = le.simulate(explanations, run.concepts)
        found[path] = [
            scorer.score(simulated, run.activations, run.split.test)
            for scorer in (le.CorrelationScorer(), le.F1Scorer(0.25), le.AUPRCScorer(0.25))
        ]
    for row, path in ((ours, result), (theirs, other)):
        assert row[-3:] == [f"{scores.mean:.4f} ± {scores.sem:.4f}" for scores in found[path]]
    for line, first, second in zip(differences, *found.values(), strict=True):
        expected = le.compare_scores(first, second)
        assert line[1:4] == [str(result), str(other), first.metric]
        shown = [f"{number:.4f}".replace("-", "−") for number in (expected.mean, expected.sem, expected.low)]
        assert line[4:6] == [f"{shown[0]} ± {shown[1]}", shown[2]]
        assert (line[7], expected.n_neurons) == ("3", 3)
    with (tmp_path / "table.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["method"], first["simulator"], first["part"], first["n_images"]) == (
        str(result),
        "labels",
        "test",
        "12",
    )
    assert first["images"] == (run.activations.images or "")[:12]
    assert float(first["f1@0.25_sem"]) == found[result][1].sem
    for name in ("table-differences.csv", "table.md", "table.tex"):
        assert "auprc@0.25" in (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("_judge")
def test_every_score_has_a_file_of_its_own_that_says_what_it_is(linexp: Run, result: Path, other: Path, tmp_path: Path):
    assert linexp("score", result, other, "--metrics", "correlation,iou").code == 0
    assert linexp("score", result, other, "--metrics", "iou,cosine", *JUDGE).code == 0
    assert linexp("score", result, *JUDGE, "--template", "a photo of {}").code == 0
    assert linexp("score", result, "--part", "train", "--force").code == 0
    theirs = f"scores-{tmp_path.name}-theirs"
    assert {path.name for path in result.glob("scores*")} == {
        *("scores.csv", "scores-iou-0.05.csv", f"{theirs}.csv", f"{theirs}-iou-0.05.csv"),
        *("scores-by-mymodels-judge-iou-0.05.csv", "scores-by-mymodels-judge-cosine.csv"),
        *(f"{theirs}-by-mymodels-judge-iou-0.05.csv", f"{theirs}-by-mymodels-judge-cosine.csv"),
        *("scores-by-mymodels-judge-a-photo-of.csv", "scores-on-train.csv"),
    }
    images = load_run(result).activations.images
    (scores,) = read_scores(result / f"{theirs}-by-mymodels-judge-cosine.csv")
    assert (scores.metric, scores.n_images) == ("cosine", 12)
    assert scores.origin == Origin(str(other), "mymodels:judge", images or "", "test")
    (scores,) = read_scores(result / "scores-on-train.csv")
    assert (scores.origin, scores.n_images) == (Origin(str(result), "labels", images or "", "train", 42), 42)


def test_methods_are_compared_on_the_neurons_that_all_explain(linexp: Run, result: Path, tmp_path: Path):
    (tmp_path / "few.csv").write_text("unit,description\n2,blue\n0,red\n")
    ended = linexp("score", result, tmp_path / "few.csv")
    assert ended.code == 0, ended.err
    assert [row[2] for row in cells(ended.out)[:2]] == ["2", "2"]
    assert f"{result}: 2 of its 4 neurons, those that all methods explain\n" in ended.out
    explanations, run = load_explanations(result), load_run(result)
    shared = le.simulate(explanations.only([0, 2]), run.concepts)
    scores = le.CorrelationScorer().score(shared, run.activations, run.split.test)
    assert cells(ended.out)[0][-1] == f"{scores.mean:.4f} ± {scores.sem:.4f}"


def test_other_neurons_are_not_compared(linexp: Run, tmp_path: Path):
    layers = ("--layer", "head", "--out", tmp_path / "both")
    assert linexp(*EXPLAIN, *layers).code == 0
    ended = linexp("score", tmp_path / "both" / "stem", tmp_path / "both" / "head")
    assert ended.code == 0, ended.err
    assert [row[1:3] for row in cells(ended.out)] == [["stem", "4"], ["head", "2"]]
    assert "Differences" not in ended.out


def test_metrics_that_fail_are_said_to(linexp: Run, result: Path, other: Path):
    ended = linexp("score", result, other, "--metrics", "spearman,auroc,cosine")
    assert ended.code == 0, ended.err
    assert "spearman failed both sanity checks in the reference, which broke ties at random: better not" in ended.out
    assert "auroc@0.05 fails the sanity check of extra labels: better not to choose by it.\n" in ended.out
    assert "cosine fail" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metrics", "f2"), "metric is 'f2'. Did you mean 'f1'? Choose one of: correlation, cosine, auprc, f1, iou"),
        (("--metrics", "f1", "--top-share", 2), "top_share is 2.0. It must lie between 0 and 1."),
        (("--part", "train"), "The explanations of a result were fitted on its train images, so scores on those are"),
        (("--part", "val"), "The explanations of a result were chosen by its val images, so scores on those are too"),
        (("--part", "tset"), "part is 'tset'. Did you mean 'test'?"),
        (("none.csv",), "There is no file 'none.csv'. Give the path of an explanations CSV."),
        (("nowhere",), "There is no result in 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(linexp: Run, result: Path, arguments: tuple[str, ...], said: str):
    ended = linexp("score", result, *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"Error: {said}"), ended.err


def test_files_that_do_not_fit(linexp: Run, result: Path, tmp_path: Path):
    alone = linexp("score", tmp_path / "e.csv")
    assert re.match(r"Error: '.*e.csv' is a file of explanations, and no result says what its neurons did\.", alone.err)
    (tmp_path / "e.csv").write_text("layer,neuron,text\nhead,0,red\n")
    layer = linexp("score", result, tmp_path / "e.csv")
    assert "are of layer 'head', the result is of layer 'stem'. Give explanations of the same neurons" in layer.err
    assert linexp("score", result, tmp_path / "e.csv", "--force").code == 0
    (tmp_path / "e.csv").write_text("neuron,text\n0,red\n900,red\n")
    assert (
        "Error: Neuron 900 is not among the 4 neurons of layer 'stem'"
        in linexp("score", result, tmp_path / "e.csv").err
    )


@pytest.mark.usefixtures("_judge")
def test_formulas_are_scored_and_shown(linexp: Run, result: Path, tmp_path: Path):
    """The labels and a simulator judge them, who is asked for the words; a text that looks like one is no formula."""
    path = tmp_path / "logic.csv"
    path.write_text("neuron,formula\n0,(red OR yellow) AND NOT blue\n1,green\n2,NOT (red OR green)\n")
    for judge in ((), JUDGE):
        ended = linexp("score", result, path, *judge)
        assert ended.code == 0, ended.err
        file = next(result.glob("scores*logic*.csv"))
        assert float(read_scores(file)[0].values[0]) > 0.5
        file.unlink()
    run, said = load_run(result), le.Explanations.from_csv(path)
    fitted = le.fit_weights([item.concepts for item in said] + [()], run.activations, run.concepts, run.split)
    fitted.to_csv(result / "explanations.csv")
    shown = linexp("show", result, 0)
    assert shown.code == 0, shown.err
    assert re.search(r"neuron 0 ≈ \S+·\(\(red OR yellow\) AND NOT blue\)", shown.out)
    assert linexp("report", result, "--out", tmp_path / "page").code == 0
    path.write_text("neuron,formula\n0,rde AND blue\n")
    ended = linexp("score", result, path)
    assert (ended.code, "The concept 'rde' is not among the" in ended.err) == (1, True)
    path.write_text("neuron,text\n0,red AND blue\n")
    ended = linexp("score", result, path)
    assert (ended.code, "The concept 'red AND blue' is not among the" in ended.err) == (1, True)


@pytest.mark.usefixtures("_judge")
def test_a_text_the_simulator_cannot_encode_is_traced(
    linexp: Run, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from tests.colour_encoder import WorldEncoder

    encode = WorldEncoder.encode_texts

    def refuse(self: WorldEncoder, texts: list[str]):
        for text in texts:
            if len(text) > 50:
                raise ValueError(f"The text '{text}' has 99 tokens, and 'judge' reads at most 77. Shorten it.")
        return encode(self, texts)

    monkeypatch.setattr(WorldEncoder, "encode_texts", refuse)
    long = "red things that are rather long to describe in one breath"
    (tmp_path / "e.csv").write_text(f"neuron,text\n1,red\n2,{long}\n")
    ended = linexp("score", result, tmp_path / "e.csv", *JUDGE)
    assert ended.err.splitlines()[-1] == (
        f"Error: The text '{long}' has 99 tokens, and 'judge' reads at most 77. Shorten it. "
        f"It is said of neuron 2 in '{tmp_path / 'e.csv'}'."
    )


def test_of_a_file_of_several_layers_the_results_layer_is_scored(linexp: Run, result: Path, tmp_path: Path):
    path = tmp_path / "descriptions.csv"
    lines = ("head,0,blue,1", "head,1,red,1", "stem,0,red,1", "stem,1,green,1", "stem,2,blue,1")
    path.write_text("\n".join(("layer,unit,description,similarity", *lines)))
    ended = linexp("score", result, path)
    assert ended.code == 0, ended.err
    alone = tmp_path / "alone.csv"
    alone.write_text("neuron,text\n0,red\n1,green\n2,blue\n")
    assert linexp("score", result, alone).code == 0
    found, expected = (next(result.glob(f"scores-*-{name}.csv")) for name in ("descriptions", "alone"))
    assert read_scores(found)[0].values.tolist() == read_scores(expected)[0].values.tolist()
    path.write_text("layer,unit,description\nhead,0,blue\nbody,0,red\n")
    ended = linexp("score", result, path)
    assert (ended.code, "of 2 layers (head, body), and none is 'stem'" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("torchvision:resnet50:IMAGENET1K_V1", ""),
        ("timm:resnet50.tv_in1k", ""),
        ("mymodels:build", ""),
        ("torchvision:resnet50:IMAGENET1K_V2", "so they are of other neurons. Use a result of 'torchvision:resnet50:I"),
        ("timm:resnet50.a1_in1k", "and the result is of 'timm:resnet50.a1_in1k', so they are of other neurons"),
        (
            "torchvision:resnet50",
            "does not say which weights of 'torchvision:resnet50' it has. Make it with --model tor",
        ),
    ],
)
def test_published_explanations_of_another_network_are_told(
    linexp: Run, result: Path, tmp_path: Path, model: str, said: str
):
    run = result / "run.json"
    run.write_text(run.read_text().replace('"model": "mymodels:build"', f'"model": "{model}"'))
    published = tmp_path / "resnet50_imagenet_layer4.csv"
    published.write_text("unit,description\n0,red\n1,green\n")
    ended = linexp("score", result, published)
    assert ended.code == 0, ended.err
    if said:
        assert f"resnet50_imagenet_layer4.csv' are of the network '{'torchvision:resnet50:IMAGENET1K_V1'}'" in ended.err
        assert said in ended.err
    else:
        assert "network" not in ended.err


def test_explanations_of_another_result_are_told_apart_by_its_network(linexp: Run, result: Path, tmp_path: Path):
    assert linexp(*EXPLAIN, "--out", tmp_path / "another").code == 0
    for folder, model in (
        (result, "torchvision:resnet18:IMAGENET1K_V1"),
        (tmp_path / "another", "timm:resnet18.a1_in1k"),
    ):
        run = folder / "run.json"
        run.write_text(run.read_text().replace('"model": "mymodels:build"', f'"model": "{model}"'))
    ended = linexp("score", result, tmp_path / "another" / "explanations.csv")
    assert (ended.code, "are of the network 'timm:resnet18.a1_in1k', and the result is of" in ended.err) == (0, True)
