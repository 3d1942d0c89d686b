"""``linexp compare`` as a user meets it: several methods, one judge, one table."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import linexp as le
from linexp.results import load_explanations, load_run
from linexp.score import read_scores
from tests.colour_world import make_world
from tests.command_line import Run, command_line

START = ("compare", "--model", "mymodels:steady", "--images", "pictures", "--seed", 1, "--layer", "stem")
# Settings without which the tests would take long, or find nothing in so few images.
QUICK = {"linear": "n_repeats=0", "swaps": "n_repeats=0", "dissection": "quantile=0.8"}
METHODS = ("linear", "swaps", "best", "random", "dissection")
WORDS = ("--concepts", "text", "--encoder", "mymodels:see", "--vocabulary", "words.txt", "--calibration", "see.json")
JUDGE = ("--simulator", "mymodels:judge", "--simulator-calibration", "judge.json")
LABELS = "is judged by the labels that also explained it"
# The layer that is not used has weights too: seeded, the network is the same one each time it is built.
STEADY = """
def steady():
    torch.manual_seed(0)
    return Net(), to_unit_tensor
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    with (folder / "mymodels.py").open("a") as file:
        file.write(STEADY)
    for name in ("see", "judge"):
        (folder / f"{name}.json").write_text('{"a": 8.0, "b": -0.5}')
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def compare(linexp: Run, tmp_path: Path):
    """Compare into a folder, and refuse to go on unless it went well."""

    def run(out: str, methods: tuple[str, ...], *more: object):
        quick = [part for name in methods if name in QUICK for part in ("--set", f"{name}.{QUICK[name]}")]
        ended = linexp(*START, *quick, "--methods", ",".join(methods), "--out", tmp_path / out, *more)
        assert ended.code == 0, ended.err
        return ended

    return run


def table(folder: Path, name: str = "table.csv") -> dict[str, dict[str, str]]:
    with (folder / name).open(newline="") as file:
        lines = list(csv.DictReader(file))
    return {line.get("method") or f"{line['first']}, {line['metric']}": line for line in lines}


def content(folder: Path) -> dict[str, bytes]:
    """Every file, but for the seconds that methods took."""
    found: dict[str, bytes] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, whole = path.relative_to(folder).as_posix(), path.read_bytes()
        if name.startswith("table."):
            whole = re.sub(rb"[\d.]+( \\\\| \||\r?)\n", rb"\n", whole)
        elif path.name == "explained.json":
            told = json.loads(whole)
            assert told.pop("seconds") >= 0
            whole = json.dumps(told).encode()
        found[name] = whole
    return found


def test_the_table_is_what_score_and_python_give(compare, linexp: Run, tmp_path: Path):
    ended = compare("r", METHODS, "--groups", "groups.json", "--metrics", "correlation,auprc,auroc")
    assert "\nauroc@0.05 fails the sanity check of extra labels: better not to choose by it.\n" in ended.out
    assert ended.err.count(LABELS) == 1
    folder, rows = tmp_path / "r", table(tmp_path / "r")
    assert tuple(rows) == METHODS
    run = load_run(folder / "linear")
    explainers = {
        "linear": le.LinearExplainer(n_repeats=0),
        "swaps": le.LinearExplainer(search="swaps", n_repeats=0),
        "best": le.BestConceptExplainer(),
        "random": le.RandomConceptExplainer(),
        "dissection": le.DissectionExplainer(quantile=0.8),
    }
    scorers = (le.CorrelationScorer(), le.AUPRCScorer())
    found = le.compare(run.activations, run.concepts, run.split, explainers, scorers=scorers)
    recorded = run.activations.values[run.split.test].double().numpy()
    by_hand: dict[str, np.ndarray] = {}
    for name, row in rows.items():
        explanations = load_explanations(folder / name)
        assert found[name].explanations.items == explanations.items
        simulated = le.simulate(explanations, run.concepts).values[run.split.test].double().numpy()
        # The neurons that vary: red, green and blue; the fourth is dead and has no score.
        by_hand[name] = np.array([np.corrcoef(simulated[:, n], recorded[:, n])[0, 1] for n in range(3)])
        n, mean, sem = 3, by_hand[name].mean(), by_hand[name].std(ddof=1) / 3**0.5
        assert (float(row["correlation"]), float(row["correlation_sem"])) == pytest.approx((mean, sem), abs=1e-6)
        difference = by_hand[name] - by_hand["linear"]
        if name != "linear":
            told = float(row["correlation − linear"]), float(row["correlation − linear_sem"])
            assert told == pytest.approx((difference.mean(), difference.std(ddof=1) / n**0.5), abs=1e-6)
        assert float(row["terms"]) == pytest.approx(explanations.mean_terms, abs=1e-4)
        assert (row["neurons"], row["dead"], row["no score"], row["n_images"]) == ("4", "1", "1", "12")
        for metric in ("correlation", "auprc@0.05"):
            assert float(row[metric]) == found.scores(metric)[name].mean
            assert float(row[f"{metric}_sem"]) == found.scores(metric)[name].sem
    differences = table(folder, "table-differences.csv")
    assert float(differences["best, correlation"]["difference"]) == pytest.approx(
        (by_hand["best"] - by_hand["linear"]).mean()
    )
    assert f"│ {METHODS[1]}" in ended.out
    assert "judged by the concepts that explained; differences to linear paired by neuron" in ended.out

    kept = {name: read_scores(folder / name / "scores.csv")[0] for name in METHODS}
    assert linexp("score", folder).code == 0
    for name, before in kept.items():
        (after,) = read_scores(folder / name / "scores.csv")
        assert (before.origin.method, after.origin.method) == (name, str(folder / name))  # pyright: ignore
        assert before.values.tolist()[:3] == after.values.tolist()[:3] == found.scores()[name].values.tolist()[:3]


def test_commands_take_the_folder_or_say_why_not(compare, linexp: Run, tmp_path: Path):
    compare("r", ("linear", "best"))
    folder = tmp_path / "r"
    assert (folder / "report" / "index.html").exists()
    shown = linexp("show", folder, 1)
    assert shown.code == 0
    assert [line for line in shown.out.splitlines() if line in ("linear", "best")] == ["linear", "best"]
    assert "2 results in" in linexp("report", folder, "--out", tmp_path / "page").out
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert page.index("<h3>linear</h3>") < page.index("<h3>best</h3>")
    assert page.count(" against linear</span>") == 1
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**manifest, "methods": ["../r/linear", "best", 3, None]}))
    assert "1 result in" in linexp("report", folder, "--out", tmp_path / "page").out  # nothing outside is opened
    for command, said in (
        (("simulate", folder), "holds several methods, each a result of its own: "),
        (("summarize", folder), f"'{folder}' is a folder"),
        (("explain", *START[1:], "--out", folder / "best" / "inner"), ""),
        ((*START, "--methods", "best", "--out", folder / "best"), "holds a result that linexp explain wrote."),
    ):
        ended = linexp(*command)
        assert (ended.code, said in ended.err) == (1 if said else 0, True), ended.err


def test_it_goes_on_at_the_first_method_that_is_missing(
    compare, linexp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    methods = ("best", "random", "linear")
    compare("whole", methods)
    explain = le.RandomConceptExplainer.explain

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(le.RandomConceptExplainer, "explain", stop)
    half = ("--methods", ",".join(methods), "--out", tmp_path / "half", "--set", "linear.n_repeats=0")
    stopped = linexp(*START, *half)
    assert (stopped.code, "Interrupted." in stopped.err) == (1, True)
    assert (tmp_path / "half" / "best" / "explained.json").exists()
    assert not (tmp_path / "half" / "run.json").exists()
    monkeypatch.setattr(le.RandomConceptExplainer, "explain", explain)
    monkeypatch.setattr(le.BestConceptExplainer, "explain", stop)  # is not explained again
    ended = compare("half", methods)
    told = [line for line in ended.out.splitlines() if "neurons explained" in line]
    assert ["taken from before" in line for line in told] == [True, False, False]
    assert content(tmp_path / "half") == content(tmp_path / "whole")
    again = compare("half", methods)
    assert again.out.count("taken from before") == 3
    assert content(tmp_path / "half") == content(tmp_path / "whole")


def test_what_is_not_the_same_is_explained_anew(compare, tmp_path: Path):
    compare("r", ("best", "random"))
    edited = tmp_path / "r" / "best" / "explanations.csv"
    whole = edited.read_text()
    edited.write_text(whole.replace("yellow", "blue"))
    assert edited.read_text() != whole
    ended = compare("r", ("best", "random"), "--set", "random.seed=3")
    assert "taken from before" not in ended.out
    assert edited.read_text() == whole
    ended = compare("r", ("random", "best"), "--set", "random.seed=3", "--batch-size", 5)
    assert "taken from before" not in ended.out
    assert list(table(tmp_path / "r")) == ["random", "best"]


def test_methods_share_what_was_recorded_as_long_as_it_is_the_same(
    compare, linexp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    methods, files = ("best", "random"), ("matrices.safetensors", "images.csv")
    compare("r", methods, "--no-report")
    one, other = (tmp_path / "r" / name for name in methods)
    assert all((one / file).samefile(other / file) for file in files)
    before = content(other)
    assert linexp("explain", *START[1:], "--seed", 2, "--out", one).code == 0
    assert not any((one / file).samefile(other / file) for file in files)
    assert content(other) == before
    compare("r", methods, "--no-report")  # what was recorded for the second takes the place of the first's
    assert (load_run(one).split.test == load_run(other).split.test).all()

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    compare("copied", methods, "--no-report")
    assert not any((tmp_path / "copied" / name / files[0]).samefile(other / files[0]) for name in methods)
    assert content(tmp_path / "copied") == content(tmp_path / "r")


def test_what_several_methods_warn_of_is_said_once(compare):
    ended = compare("r", ("dissection", "invert"), *WORDS, "--no-report", "--set", "invert.max_length=1")
    assert ended.err.count("Presences are not all 0 or 1") == 1
    ended = compare("r", ("dissection", "invert"), *WORDS, "--no-report", "--set", "invert.present_from=0.4")
    assert ["present_from = 0.4" in ended.err, "present_from = 0.5" in ended.err] == [True, False]  # taken from before


def test_run_json_does_it_again(compare, linexp: Run, tmp_path: Path):
    methods = ("swaps", "splice", "www", "clip-dissect", "invert")
    chosen = ("--set", "clip-dissect.n_top=10", "--set", "www.n_top=10", "--set", "www.max_terms=2")
    judged = ("--metrics", "auprc,correlation", *JUDGE, "--simulator-template", "{}", "--no-report")
    compare("r", methods, *WORDS, *chosen, *judged, "--set", "splice.strength=0.1")
    ended = linexp("run", tmp_path / "r" / "run.json", "--out", tmp_path / "again")
    assert ended.code == 0, ended.err
    before, after = (content(tmp_path / name) for name in ("r", "again"))
    settings = [json.loads(one.pop("run.json"))["settings"] for one in (before, after)]
    for one in settings:
        one.pop("calibration")  # that of run.json says where it is from
    for name in methods:
        for one in (before, after):
            one.pop(f"{name}/run.json")
    assert settings[0] == settings[1]
    assert before == after
    assert "judged by mymodels:judge" in ended.out


def test_a_recipe_compares(linexp: Run, world: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'model = "mymodels:steady"\nlayer = "stem"\nimages = "pictures"\nseed = 1\n'
        '[compare]\nmethods = ["best", "random"]\nset = { random.seed = 2, "best.negative" = false }\n'
        "[score]\n[report]\n"
    )
    printed = linexp("run", recipe, "--print")
    assert printed.code == 0, printed.err
    assert [line for line in printed.out.splitlines() if not line.startswith("cd ")] == [
        "linexp compare --model mymodels:steady --layer stem --images pictures --seed 1 --methods best,random "
        "--set random.seed=2 --set best.negative=false --out recipe/compare",
        "linexp score recipe/compare",
        "linexp report recipe/compare --seed 1 --out recipe/report",
    ]


@pytest.fixture
def _no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the recording was started")

    monkeypatch.setattr("linexp.results.explaining.record_layers", refuse)


@pytest.mark.usefixtures("_no_recording")
@pytest.mark.parametrize(
    ("methods", "more", "said"),
    [
        ("linear,swap", (), "method is 'swap'. Did you mean 'swaps'? Choose one of: linear, clip-dissect,"),
        ("best,best", (), "The method 'best' is named twice. Leave one out."),
        ("best", ("--set", "best.negativ=no"), "The method 'best' has no setting 'negativ'. Did you mean 'negative'?"),
        (
            "best",
            ("--set", "bset.n=1"),
            "'bset.n=1' sets a method that is not named. Did you mean 'best'? Methods: best.",
        ),
        ("best", ("--set", "n=1"), "'n=1' does not say which method it sets. Write method.name=value."),
        ("swaps", ("--set", "swaps.search=top"), "search is set twice, to swaps and to 'top'. Leave one out."),
        (
            "best,splice,clip-dissect,www",
            ("--set", "www.n_top=3", "--set", "www.base=yelow"),
            "3 of 4 methods cannot explain by what there is. splice: SpLiCE takes embeddings apart, and these 5 "
            "concepts are columns without any. Describe the images with le.TextConcepts, or on the command line with "
            "--concepts text, which keeps those of its encoder. clip-dissect: n_top is 100, and there are 42 training "
            "images. Set n_top to fewer, best to a small share of these, or use more images. www: The concept 'yelow' "
            "is not among the 5 of this matrix. Did you mean 'yellow'? Give one of them as base.",
        ),
        ("www", (*WORDS, "--set", "www.n_top=43"), "1 of 1 methods cannot explain by what there is. www: n_top is 43,"),
        (
            "best",
            ("--simulator", "mymodels:jugde"),
            "The module 'mymodels' has no function 'jugde'. Did you mean 'judge'?",
        ),
        ("best", ("--metrics", "correlaton"), "metric is 'correlaton'. Did you mean 'correlation'?"),
        ("best", ("--simulator-calibration", "x.json"), "--simulator-calibration is of no use without --simulator."),
        ("best", ("--outputs", "x.txt"), "--outputs is of no use without --ablate. Add it, or leave it out."),
    ],
)
def test_what_is_wrong_is_said_before_the_recording(
    linexp: Run, tmp_path: Path, methods: str, more: tuple[object, ...], said: str
):
    ended = linexp(*START, "--methods", methods, "--out", tmp_path / "r", *more)
    assert (ended.code, ended.err[: len(said) + 7]) == (1, f"Error: {said}")


def test_what_methods_take_instead_is_said(linexp: Run, tmp_path: Path):
    start = (*START, "--no-report", "--out", tmp_path / "r", "--methods")
    tops = ("--set", "www.n_top=5")
    ended = linexp(*start, "best,www,falcon", *tops)
    assert "concepts without embeddings, whose presences are taken for cosines: www, falcon\n" in ended.out
    ended = linexp(*start, "best,invert,dissection,www", *tops, "--set", "dissection.present_from=0.25", *WORDS)
    assert (
        "probabilities become present and absent: invert from 0.5 on (present_from), dissection from 0.25" in ended.out
    )
    helped = linexp(*start, "swaps,random", "--set", "help")
    assert helped.out.startswith("swaps\n  strength (default: 0.05)\n")
    assert "\nrandom\n  n_terms (default: 1)\n" in helped.out
