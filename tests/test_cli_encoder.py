"""Encoders of one's own on the command line: fitted into a folder, or where they are used; explained, then judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import linexp as le
from linexp.concepts import fit_on_train
from linexp.images import ImageFolder
from linexp.results.folder import load_explanations, load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line

EXPLAIN = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--no-store")
WORDS = ("--concepts", "text", "--vocabulary", "words.txt", "--min-activity", "0.3")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_world(tmp_path_factory.mktemp("world"))
    (home / "words.txt").write_text("red\ngreen\nblue\nyellow\nblack\ngrass\nsea\n")
    return home


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def test_an_encoder_in_a_folder_explains(linexp: Run, world: Path) -> None:
    ended = linexp(
        "encoder", "fit", "--images", "pictures", "--features", "mymodels:build", "--out", "own", "--no-store"
    )
    assert ended.code == 0, ended.err
    assert "fitted:mymodels:build:rest.2+minilm" in ended.out
    assert "features of layer rest.2, fitted on the 42 training images" in ended.out
    assert "saved in own" in ended.out
    explained = linexp(*EXPLAIN, *WORDS, "--encoder", "own", "--out", "by-own")
    assert explained.code == 0, explained.err
    run = load_run(world / "by-own")
    assert run.settings["encoder"] == le.FittedEncoder.load(world / "own").name
    assert {term.concept for item in load_explanations(world / "by-own") for term in item.terms} <= set(
        run.concepts.names
    )
    assert linexp("score", "by-own").code == 0


def test_both_halves_are_fitted_where_they_are_used(linexp: Run, world: Path) -> None:
    explained = linexp(*EXPLAIN, *WORDS, "--encoder", "fit:mymodels:build", "--out", "here")
    assert explained.code == 0, explained.err
    scored = linexp("score", "here", "--simulator", "fit:mymodels:faint", "--no-store")
    assert scored.code == 0, scored.err
    first = linexp(
        "encoder",
        "fit",
        "--images",
        "pictures",
        "--features",
        "mymodels:build",
        "--half",
        "first",
        "--out",
        "half",
        "--no-store",
    )
    assert first.code == 0, first.err
    name = le.FittedEncoder.load(world / "half").name
    settings = json.loads((world / "here" / "run.json").read_text())["settings"]
    assert settings["encoder"] == name  # the same half, the same map
    assert settings["encoder_asked"] == "fit:mymodels:build"
    again = linexp("run", "here/run.json", "--out", "again", "--no-store")
    assert again.code == 0, again.err
    assert (world / "again/explanations.csv").read_bytes() == (world / "here/explanations.csv").read_bytes()


def test_the_judge_learns_from_the_other_half(world: Path, linexp: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ImageFolder(world / "pictures")
    split = le.Split.random(len(folder))
    seen: dict[str, set[int]] = {}
    for half in ("first", "second"):
        looked: set[int] = set()
        load = ImageFolder.__getitem__

        def watched(self: ImageFolder, index: int, looked: set[int] = looked, load: Any = load) -> Any:
            looked.add(index)
            return load(self, index)

        with monkeypatch.context() as patched:
            patched.setattr(ImageFolder, "__getitem__", watched)
            fit_on_train(folder, split, "mymodels:build", half=half, show_progress=False)
        seen[half] = looked
    assert seen["first"].isdisjoint(seen["second"])
    assert seen["first"] | seen["second"] == set(split.train.tolist())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("encoder", "fit", "--images", "pictures", "--features", "mymodels:build", "--out", "x", "--half", "third"),
            "third",
        ),
        (
            ("calibrate", "--encoder", "fit:mymodels:build", "--images", "pictures", "--out", "c.json"),
            "linexp encoder fit",
        ),
        ((*EXPLAIN, *WORDS, "--encoder", "own-missing", "--out", "x"), "There is no encoder 'own-missing'"),
        (("encoder", "fit", "--images", "nowhere", "--features", "mymodels:build", "--out", "x"), "nowhere"),
    ],
)
def test_what_is_refused(linexp: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = linexp(*arguments)
    assert ended.code != 0
    assert message in ended.err
