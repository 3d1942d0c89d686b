"""Explanations that were fitted on another split of the same pictures: refused, or said."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

import linexp as le
from linexp.results.cases import open_cases
from linexp.results.folder import load_explanations, load_run
from linexp.score import read_scores
from tests.colour_world import make_world
from tests.command_line import Run, command_line

EXPLAIN = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


@pytest.fixture
def two(linexp: Run, tmp_path: Path) -> tuple[Path, Path, int]:
    """Two results of the same pictures split by other seeds, and how many of a's test images b has seen."""
    for seed, name in enumerate("ab"):
        assert linexp(*EXPLAIN, "--seed", seed, "--out", tmp_path / name).code == 0
    tests = [set(load_run(tmp_path / name).split.test.tolist()) for name in "ab"]
    assert 0 < len(tests[0] & tests[1]) < 12
    return tmp_path / "a", tmp_path / "b", len(tests[0] - tests[1])


def cells(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]


def titles(printed: str) -> list[str]:
    return [cell.strip() for cell in re.split("[┃│]", next(line for line in printed.splitlines() if "┃" in line))[1:-1]]


def test_a_foreign_split_is_refused(linexp: Run, two: tuple[Path, Path, int]):
    a, b, seen = two
    ended = linexp("score", a, b / "explanations.csv")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"Error: The explanations in '{b / 'explanations.csv'}' were fitted or chosen on {seen} of the 12 test images "
        f"of '{a}', so the scores would be too high. Score them with the result they are from, explain anew with one "
        "split for both (--seed, --split), or insist with --force.\n"
    )
    assert not list(a.glob("scores*"))
    assert linexp("score", a, "--explanations", b / "explanations.csv").code == 1
    assert "fitted or chosen on" in linexp("ablate", a, b / "explanations.csv").err
    # Wherever the file lies.
    shutil.copy(b / "explanations.csv", b.parent / "moved.csv")
    assert (
        f"'{b.parent / 'moved.csv'}' were fitted or chosen on {seen}" in linexp("score", a, b.parent / "moved.csv").err
    )
    shutil.copy(b / "explanations.csv", a / "explanations.csv")
    assert f"'{a}' were fitted or chosen on {seen} of the 12" in linexp("score", a).err
    assert f"fitted or chosen on {seen} of the 12" in linexp("report", a, "--out", b.parent / "page").err
    assert (
        f"\n  which is too high: the explanation was fitted or chosen on {seen} of them\n" in linexp("show", a, 0).out
    )


def test_force_says_how_many(linexp: Run, two: tuple[Path, Path, int]):
    a, b, seen = two
    ended = linexp("score", a, b / "explanations.csv", "--force", "--table", b.parent / "table")
    assert ended.code == 0, ended.err
    assert f"were fitted or chosen on {seen} of the 12 test images of '{a}', so the scores are too high." in ended.err
    assert f"\n  fitted or chosen on {seen} of these 12 images\n" in ended.out
    place = titles(ended.out).index("fitted on")
    assert [row[place] for row in cells(ended.out)[:2]] == ["0", str(seen)]
    with (b.parent / "table.csv").open(newline="") as file:
        assert [row["fitted on"] for row in csv.DictReader(file)] == ["0", str(seen)]
    (scores,) = read_scores(a / "scores-b-explanations.csv")
    assert scores.origin is not None
    assert scores.origin.n_seen == seen
    (scores,) = read_scores(a / "scores.csv")
    assert scores.origin is not None
    assert scores.origin.n_seen == 0
    # How many were seen is no score of a neuron.
    shown = [column.title for column in le.read_result(a).columns]
    assert not any("seen" in title for title in shown)
    assert sum(f"(fitted on {seen} of these 12 images)" in title for title in shown) == 1


def test_an_unknown_split_is_said(linexp: Run, two: tuple[Path, Path, int], tmp_path: Path):
    a, b, _ = two
    (tmp_path / "theirs.csv").write_text("neuron,text\n0,red\n1,green\n")
    ended = linexp("score", a, tmp_path / "theirs.csv")
    assert ended.code == 0, ended.err
    assert (
        f"Warning: It is not known on which images the explanations in '{tmp_path / 'theirs.csv'}' were fitted or "
        f"chosen: up to all 12 test images of '{a}', and then the scores are too high. If their split is known, make "
        "the result with it (linexp explain --split).\n"
    ) in ended.err
    place = titles(ended.out).index("fitted on")
    assert [row[place] for row in cells(ended.out)[:2]] == ["0", "unknown"]
    assert "\n  it is not known on which of these images they were fitted or chosen\n" in ended.out
    assert any("(on images it was perhaps fitted on)" in column.title for column in le.read_result(a).columns)
    # Ours, of other pictures: which of these are among them is not known either.
    text = (b / "explanations.csv").read_text()
    images = load_run(b).activations.images or ""
    (tmp_path / "others.csv").write_text(text.replace(images, "0123456789abcdef"))
    ended = linexp("score", a, tmp_path / "others.csv")
    assert ended.code == 0, ended.err
    assert "were fitted on another collection of images (fingerprint 0123456789ab), which may hold some of" in ended.err


def test_a_results_own_split_is_known(linexp: Run, two: tuple[Path, Path, int]):
    a, b, seen = two
    ended = linexp("score", a)
    assert ended.code == 0
    assert "fitted" not in ended.out + ended.err
    # A result of an older version, whose file does not say it.
    lines = list(csv.reader((b / "explanations.csv").read_text().splitlines()))
    place = lines[0].index("fitted_on0")
    cut = [",".join(cell for number, cell in enumerate(line) if number != place) for line in lines]
    (b / "explanations.csv").write_text("\n".join(cut) + "\n")
    assert f"were fitted or chosen on {seen} of the 12" in linexp("score", a, b / "explanations.csv").err
    (case,) = open_cases([b])
    assert (case.n_seen("test"), case.n_seen("train"), case.n_seen("val")) == (0, 42, 6)


def test_results_of_other_splits_are_scored_each_on_its_own_and_it_is_said(linexp: Run, two: tuple[Path, Path, int]):
    a, b, seen = two
    ended = linexp("score", a, b)
    assert ended.code == 0, ended.err
    assert "Differences of scores" not in ended.out
    assert (
        f"No differences between {a} and {b}: they are scored on different images (12 and 12, {12 - seen} of them the "
        "same). Explain with one split for both (--seed, --split).\n"
    ) in ended.out
    for row, result in zip(cells(ended.out), (a, b), strict=True):
        run, explanations = load_run(result), load_explanations(result)
        scores = le.CorrelationScorer().score(le.simulate(explanations, run.concepts), run.activations, run.split.test)
        assert row[-1] == f"{scores.mean:.4f} ± {scores.sem:.4f}"
