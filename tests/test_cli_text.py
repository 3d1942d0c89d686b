"""Concepts in words on the command line: calibrate, explain, score and simulate with encoders of one's own."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import linexp as le
from linexp.matrix import load_activations
from linexp.results.folder import load_explanations, load_run
from linexp.score import read_simulability
from tests.colour_encoder import WorldEncoder
from tests.colour_world import make_world
from tests.command_line import Run, command_line

EXPLAIN = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--seed", "1")
TEXT = (*EXPLAIN, "--concepts", "text", "--encoder", "mymodels:see", "--vocabulary", "words.txt")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def calibrated(linexp: Run) -> Run:
    """The same, with calibrations of both encoders beside the pictures."""
    for encoder in ("see", "judge"):
        ended = linexp(
            *("calibrate", "--encoder", f"mymodels:{encoder}", "--images", "pictures", "--groups", "groups.json"),
            *("--seed", 1, "--max-share", 0.5, "--out", f"{encoder}.json"),
        )
        assert ended.code == 0, ended.err
    return linexp


def test_calibrate(calibrated: Run, world: Path):
    found = le.Calibration.from_json(world / "judge.json")
    assert found.encoder == "judge"
    assert found.source == "42 of the 60 images in 'pictures' (train part of seed 1)"
    assert found.images == le.ImageFolder("pictures").fingerprint
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.date)
    with Image.open(world / "judge.png") as figure:
        assert min(figure.size) > 300
    # The same by hand: fitted on train, measured on val, and neither a nor b looked at test.
    images, split = le.ImageFolder("pictures"), le.Split.random(60, 1)
    seen = le.images.ImageSubset(images, [*split.train.tolist(), *split.val.tolist()])
    labels = le.LabelConcepts(json.loads(Path("groups.json").read_text())).describe(seen)
    encoder = WorldEncoder("judge", seed=5)
    fit = le.fit_calibration(
        encoder.encode_images(seen),
        encoder.encode_texts(labels.names),
        labels,
        fitted_on=range(42),
        measured_on=range(42, 48),
        max_share=0.5,
    )
    assert (found.a, found.b, found.bce, found.ece) == (
        fit.calibration.a,
        fit.calibration.b,
        fit.reliability.bce,
        fit.reliability.ece,
    )


def test_from_words_to_scores_by_another_model(calibrated: Run, tmp_path: Path):
    linexp, text, label = calibrated, tmp_path / "text", tmp_path / "label"
    explained = linexp(*TEXT, "--calibration", "see.json", "--out", text)
    assert explained.code == 0, explained.err
    assert "vocabulary: 7 words (dropped: none)" in explained.out
    assert "  6 of 7 concepts used; 1 dropped, all of them in dropped.csv\n" in explained.out
    assert "    1 constant on the training images (melancholy)\n" in explained.out
    (dropped,) = load_explanations(text).dropped or ()
    assert (dropped.concept, dropped.reason) == ("melancholy", "constant")
    assert f"Next: linexp score {text} --simulator hf:google/siglip-so400m-patch14-384" in explained.out
    assert load_explanations(text)[2].concepts[0] == "blue"
    assert load_run(text).settings["encoder"] == "see"
    assert linexp(*EXPLAIN, "--out", label).code == 0

    both = linexp("score", text, label, "--simulator", "mymodels:judge", "--calibration", "judge.json")
    assert both.code == 0, both.err
    assert "Warning" not in both.err
    rows = re.findall(
        r"│ (\S+)\s+│ stem  │\s+4 │\s+(\S+) │\s+(\S+) │\s+1 │\s+1 │\s+0 │\s+0 │ (0\.\d+) ± (0\.\d+) │", both.out
    )
    assert [row[0] for row in rows] == [str(text), str(label)]
    assert all(float(row[3]) > 0.8 for row in rows)
    names = {path.name for path in text.iterdir()}
    assert names == {"run.json", "images.csv", "matrices.safetensors", "explanations.csv", "dropped.csv"} | {
        "scores-by-mymodels-judge.csv",
        "simulability-by-mymodels-judge.csv",
    }

    # The same by hand, from the test images alone.
    run, explanations = load_run(text), load_explanations(text)
    test = le.ImageSubset(le.ImageFolder("pictures"), run.split.test.tolist())
    judge = WorldEncoder("judge", seed=5)
    presence = le.TextConcepts(explanations.concepts, judge, le.Calibration.from_json("judge.json")).describe(test)
    values = run.activations.block(run.split.test)
    recorded = le.ActivationMatrix(values, run.activations.neurons, images=test.fingerprint)
    scores = le.CorrelationScorer().score(le.simulate(explanations, presence), recorded, range(12))
    assert f"{text / 'scores-by-mymodels-judge.csv'}" in both.out
    assert f"test {scores}" in both.out


def test_words_that_the_judge_does_not_know_are_marked(
    calibrated: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The judge takes "blue" for a word without meaning: the same everywhere, so its simulability is undefined."""
    linexp, out = calibrated, tmp_path / "out"
    assert linexp(*TEXT, "--calibration", "see.json", "--out", out).code == 0
    explanations, run = load_explanations(out), load_run(out)
    count = sum("blue" in item.concepts for item in explanations)
    encode = WorldEncoder.encode_texts
    monkeypatch.setattr(
        WorldEncoder, "encode_texts", lambda self, texts: encode(self, ["?" if t == "blue" else t for t in texts])
    )
    (tmp_path / "theirs.csv").write_text("neuron,text\n0,red\n2,sky\n")
    ended = linexp(
        "score", out, tmp_path / "theirs.csv", "--simulator", "mymodels:judge", "--calibration", "judge.json"
    )
    assert ended.code == 0, ended.err
    n_terms = sum(len(item.terms) for item in explanations)
    assert (
        f"not known to the simulator: 1 of {len(explanations.concepts)} concepts (blue), {count} of {n_terms} terms"
        in (ended.out)
    )
    assert "of 1 of 2 concepts the result's explainer knows nothing, so whether the simulator does is not" in ended.out
    shown = [line for line in ended.out.splitlines() if f" {out} " in line or "unknown terms" in line]
    assert "unknown terms" in shown[0]

    # The same by hand, on the validation images.
    path = out / "simulability-by-mymodels-judge.csv"
    found = read_simulability(path)
    # The judge's mistakes go by the place of an image among those it sees: the test images come first.
    both = le.ImageSubset(le.ImageFolder("pictures"), [*run.split.test.tolist(), *run.split.val.tolist()])
    judge = WorldEncoder("judge", seed=5)
    judged = (
        le.TextConcepts(found.concepts, judge, le.Calibration.from_json("judge.json"))
        .describe(both)
        .block(range(12, 18))
    )
    seen = run.concepts.only(found.concepts).block(run.split.val)
    for name, one, other in zip(found.concepts, seen.T, judged.T, strict=True):
        if name == "blue":
            assert found.of(name) != found.of(name)
        else:
            assert found.of(name) == pytest.approx(float(torch.corrcoef(torch.stack([one, other]))[0, 1]), abs=1e-4)

    neuron = next(item.neuron for item in explanations if "blue" in item.concepts)
    shown = linexp("show", out, neuron).out
    assert re.search(r"  blue  \(.*\)  \(not known to mymodels:judge: simulability undefined\)\n", shown)
    assert shown.count("not known to") == 1
    assert linexp("report", out, "--out", tmp_path / "page").code == 0
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    (method,) = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["layers"][0]["methods"]
    (judges,) = method["judges"]
    assert (judges["name"], judges["limit"]) == ("mymodels:judge", 0.1)
    assert sorted(value is None for _, value in judges["known"]) == [False] * (len(found.concepts) - 1) + [True]
    # A result that is made anew has not been judged yet.
    assert linexp(*TEXT, "--calibration", "see.json", "--out", out).code == 0
    assert not path.exists()


def test_each_concept_is_embedded_once(calibrated: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("one", "two"):
        assert calibrated(*TEXT, "--calibration", "see.json", "--out", tmp_path / name).code == 0
    asked: list[str] = []
    looked: list[int] = []
    texts, images = WorldEncoder.encode_texts, WorldEncoder.encode_images
    monkeypatch.setattr(WorldEncoder, "encode_texts", lambda self, words: (asked.extend(words), texts(self, words))[1])
    monkeypatch.setattr(
        WorldEncoder, "encode_images", lambda self, some, **_: (looked.append(len(some)), images(self, some))[1]
    )
    ended = calibrated(
        *("score", tmp_path / "one", tmp_path / "two"),
        *("--simulator", "mymodels:judge", "--calibration", "judge.json"),
    )
    assert ended.code == 0, ended.err
    assert sorted(asked) == sorted(load_explanations(tmp_path / "one").concepts)
    assert looked == [18]  # the test and the validation images of both, once


def test_simulate(calibrated: Run, tmp_path: Path):
    assert calibrated(*TEXT, "--calibration", "see.json", "--out", tmp_path / "out").code == 0
    by_judge = ("--simulator", "mymodels:judge", "--calibration", "judge.json")
    ended = calibrated("simulate", tmp_path / "out", *by_judge)
    assert ended.code == 0, ended.err
    path = tmp_path / "out" / "simulated-by-mymodels-judge.safetensors"
    assert ended.out == f"device: cpu\nlayer stem: 4 neurons simulated on 60 images\n  saved in {path}\n"
    explanations = load_explanations(tmp_path / "out")
    judge = WorldEncoder("judge", seed=5)
    concepts = le.TextConcepts(explanations.concepts, judge, le.Calibration.from_json("judge.json"))
    assert torch.equal(
        load_activations(path).values, le.simulate(explanations, concepts.describe(Path("pictures"))).values
    )
    assert calibrated("simulate", tmp_path / "out", *by_judge, "--out", tmp_path / "again").code == 0
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_same_command_gives_the_same_bytes(calibrated: Run, tmp_path: Path):
    for name in ("one", "two"):
        assert calibrated(*TEXT, "--calibration", "see.json", "--out", tmp_path / name).code == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_model_that_judges_itself_is_warned_of(calibrated: Run, tmp_path: Path):
    out = tmp_path / "out"
    assert calibrated(*TEXT, "--calibration", "see.json", "--out", out).code == 0
    own = calibrated("score", out)
    assert own.code == 0
    assert f"Warning: '{out}' is judged by 'see', which also explained, so the scores are too high." in own.err
    same = calibrated("score", out, "--simulator", "mymodels:see", "--calibration", "see.json")
    assert same.code == 0
    assert "Warning: The simulator 'see' is the model that explained, so the scores are too high." in same.err
    assert re.findall("test correlation (.*?) ", own.out) == re.findall("test correlation (.*?) ", same.out)


def test_pictures_that_moved_or_changed(calibrated: Run, tmp_path: Path, world: Path):
    shutil.copytree(world / "pictures", tmp_path / "here")
    pictures = ("--images", tmp_path / "here")
    assert calibrated(*TEXT, *pictures, "--calibration", "see.json", "--out", tmp_path / "out").code == 0
    (tmp_path / "here").rename(tmp_path / "there")
    score = ("score", tmp_path / "out", "--simulator", "mymodels:judge", "--calibration", "judge.json")
    gone = calibrated(*score)
    assert gone.code == 1
    assert gone.err == (
        f"Error: There are no pictures in '{tmp_path / 'here'}'. Say with --images where those of the result are.\n"
    )
    assert calibrated(*score, "--images", tmp_path / "there").code == 0
    (tmp_path / "there" / "red" / "00.png").write_bytes((world / "pictures" / "blue" / "00.png").read_bytes())
    changed = calibrated(*score, "--images", tmp_path / "there")
    assert changed.code == 1
    assert changed.err == (
        f"Error: The picture 'red/00.png' in '{tmp_path / 'there'}' is not the one that was recorded. "
        "Say with --images where those are, or make the result anew with linexp explain.\n"
    )
    (tmp_path / "there" / "red" / "01.png").unlink()
    assert (
        "are not those of the result ('red/01.png' is not there)"
        in calibrated(*score, "--images", tmp_path / "there").err
    )


def test_pictures_left_out_stay_out(calibrated: Run, tmp_path: Path, world: Path):
    shutil.copytree(world / "pictures", tmp_path / "here")
    (tmp_path / "here" / "blue" / "broken.png").write_bytes(b"no picture")
    pictures = ("--images", tmp_path / "here", "--skip-broken")
    assert calibrated(*TEXT, *pictures, "--calibration", "see.json", "--out", tmp_path / "out").code == 0
    ended = calibrated("score", tmp_path / "out", "--simulator", "mymodels:judge", "--calibration", "judge.json")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--calibration", "judge.json"), "The calibration was fitted for the encoder 'judge', not for 'see'."),
        ((), "No calibration for the encoder 'see' comes with linexp."),
        (("--calibration", "none.json"), "There is no file 'none.json'."),
        (("--vocabulary", "wrods.txt"), "There is no built-in list and no file 'wrods.txt'. Did you mean 'words.txt'?"),
        (("--vocabulary", "superclasses"), "ImageNet has no class 'black'."),
        (("--encoder", "mymodels:text"), "The function 'mymodels:text' returned a str."),
        (("--encoder", "hf:nobody/nothing"), "'hf:nobody/nothing' could not be loaded ("),
        (("--concepts", "labels"), "--vocabulary is of no use with concepts from labels. Add --concepts text"),
        (("--calibration", "see.json", "--template", "a photo"), "The template 'a photo' has no '{}'."),
        (("--calibration", "see.json", "--layer", "stam"), "The model has no layer 'stam'. Did you mean 'stem'?"),
        (("--calibration", "see.json", "--min-activity", "1"), "None of the 7 concepts is left"),
    ],
)
def test_what_is_wrong_is_said_before_the_recording(
    calibrated: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the recording was started")

    monkeypatch.setattr("linexp.results.explaining.record_layers", refuse)
    ended = calibrated(*TEXT, "--out", tmp_path / "out", *arguments)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"Error: {said}"), ended.err


def test_the_same_weights_under_another_name(calibrated: Run, tmp_path: Path):
    known = "hf:google/siglip-large-patch16-384"
    assert calibrated(*TEXT, "--calibration", known, "--out", tmp_path / "out").code == 0
    calibration = load_run(tmp_path / "out").settings["calibration"]
    assert (calibration["a"], calibration["b"], calibration["encoder"]) == (60, -0.09, "see")
    assert calibration["source"].startswith("the authors'")
    wrong = calibrated(*TEXT, "--calibration", "hf:google/siglip-large", "--out", tmp_path / "out")
    assert wrong.err.splitlines()[-1].startswith("Error: No calibration for the encoder 'hf:google/siglip-large' comes")


def test_a_vocabulary_of_one_word(calibrated: Run, tmp_path: Path):
    (tmp_path / "one.txt").write_text("blue\n")
    ended = calibrated(
        *TEXT, "--vocabulary", tmp_path / "one.txt", "--calibration", "see.json", "--out", tmp_path / "out"
    )
    assert ended.code == 0, ended.err
    assert re.search(r"Warning: The vocabulary '.*one.txt' has one word \('blue'\), so no explanation", ended.err)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "cal.txt"), "The calibration would be written to 'cal.txt'. Give --out a name that ends in .json."),
        (("--max-share", "2"), "max_share is 2.0. It must lie between 0 and 1."),
        (("--max-share", "0.01"), "None of the 5 concepts can be calibrated on"),
        (("--class-names", "imagenet"), "None of the 1000 folders named in ImageNet is among the 5 of 'pictures'"),
        (("--groups", "wordnet"), "ImageNet has no class 'black'."),
    ],
)
def test_calibrate_says_what_is_wrong(linexp: Run, tmp_path: Path, arguments: tuple[str, ...], said: str):
    start = ("calibrate", "--encoder", "mymodels:see", "--images", "pictures", "--out", tmp_path / "cal.json")
    ended = linexp(*start, *arguments)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"Error: {said}"), ended.err
