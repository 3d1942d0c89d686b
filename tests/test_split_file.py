"""Splits from files: every layout gives the same split, and what is wrong is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp.results.folder import load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line

PARTS = {"train": [0, 2, 4], "val": [1, 6], "test": [3, 5]}
NAMES = ["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png", "b/10.png", "c/0.png"]


class Named(le.ImageArray):
    """Pictures that go by paths."""

    def name(self, index: int) -> str:
        return f"/data/pictures/{NAMES[index]}"


IMAGES = Named(np.zeros((8, 4, 4), np.uint8))


def parts_of(split: le.Split) -> dict[str, list[int]]:
    return {name: getattr(split, name).tolist() for name in PARTS}


def test_every_layout_gives_the_same_split(tmp_path: Path):
    (tmp_path / "rows.json").write_text(json.dumps({**PARTS, "made by": "hand"}))
    (tmp_path / "names.json").write_text(json.dumps({part: [NAMES[row] for row in PARTS[part]] for part in PARTS}))
    part_of = {row: part for part, rows in PARTS.items() for row in rows}
    rows = [f"{row},{part_of.get(row, '')},/data/pictures/{NAMES[row]}\n" for row in range(8)]
    (tmp_path / "images.csv").write_text("row,part,image\n" + "".join(rows))
    # With the images known, a line of a CSV is an image, whatever its row was.
    moved = [line.replace(line[0], "99", 1) for line in reversed(rows)]
    (tmp_path / "moved.csv").write_text("row,part,image\n" + "".join(moved))
    (tmp_path / "pairs.csv").write_text("\ufeffimage, part\n" + "".join(f"{NAMES[r]},{part_of[r]}\n" for r in part_of))
    for name, content in (("tensors", torch.tensor), ("lists", list)):
        (tmp_path / name).mkdir()
        for part, ids in PARTS.items():
            torch.save(content(ids), tmp_path / name / f"{part}_ids.pt")
    for name in ("rows.json", "images.csv", "tensors", "lists"):
        assert parts_of(le.Split.from_file(tmp_path / name)) == PARTS, name
    for name in ("rows.json", "names.json", "images.csv", "moved.csv", "pairs.csv", "tensors", "lists"):
        split = le.Split.from_file(tmp_path / name, IMAGES)
        assert {part: sorted(rows) for part, rows in parts_of(split).items()} == PARTS, name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[0, 1]", "has no list 'train'"),
        ('{"train": [0, 1], "valid": [2, 3], "test": [4, 5]}', "has no list 'val'. Did you mean 'valid'?"),
        (
            '{"train": [0, 1], "val": [2, 3], "test": [4]}',
            "The test part of the split has 1 images. Give it at least two",
        ),
        ('{"train": [0, 1], "val": [1, 3], "test": [4, 5]}', "1 images both in train and in val"),
        (
            '{"train": [0, true], "val": [2, 3], "test": [4, 5]}',
            "holds 'True', neither a row number nor the name of an",
        ),
        ('{"train": [0, 1.0], "val": [2, 3], "test": [4, 5]}', "holds '1.0', neither a row number nor the name"),
        ('{"train": [0, 1], "val": [2, 3], "test": [4, 8]}', "The split names image 8, but there are only 8 images"),
        ('{"train": [0, 1], "val": [2, 3], "test": [4, 1e400]}', "holds 'inf', neither a row number"),
        (f'{{"train": [0, 1], "val": [2, 3], "test": [4, 1{"0" * 30}]}}', "The rows of a split cannot be read"),
        ('{"train": ["a/0.png", "a/9.png"], "val": [], "test": []}', "names the image 'a/9.png', which is not there"),
        (
            '{"train": ["0.png"], "val": [], "test": []}',
            "names the image '0.png', which is 3 of the images. Name each by",
        ),
    ],
)
def test_json_that_makes_no_split(tmp_path: Path, content: str, said: str):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(said)):
        le.Split.from_file(tmp_path / "split.json", IMAGES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("row,set\n0,train\n", "has the columns row, set. Give JSON"),
        ("", "has the columns . Give JSON"),
        ("row,part\n0,tran\n", "Line 2 of '.*': the part is 'tran'. Did you mean 'train'?"),
        ("row,part\n0.0,train\n", "Line 2 of '.*': the row is '0.0'. Number the images from 0."),
        ('row,part\n"0,train\n', "is not CSV"),
        ("row,part\n0,train\n1,train\n", "The val part of the split has 0 images.*It is said in '.*split.csv'"),
        ("image,part\na/0.png,train\n", "names images .'a/0.png'., and which they are is not known. Give the images"),
    ],
)
def test_csv_that_makes_no_split(tmp_path: Path, content: str, said: str):
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(ValueError, match=said):
        le.Split.from_file(tmp_path / "split.csv")


def test_files_that_are_not_there_or_hold_something_else(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"There is no split '.*none.json'\. Give JSON"):
        le.Split.from_file(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*train_ids.pt'\. Give JSON"):
        le.Split.from_file(tmp_path)
    huge = torch.zeros(1, dtype=torch.int64).expand(1 << 40)
    for content, said in (
        ({"ids": [0, 1]}, "holds no list of row numbers"),
        (torch.zeros(2, 2, dtype=torch.int64), "holds no list of row numbers"),
        (huge, "holds no list of row numbers"),
        (torch.zeros(3), "holds '0.0', neither a row number"),
        (Path("x"), "cannot be read as row numbers"),
    ):
        for part in PARTS:
            torch.save(content, tmp_path / f"{part}_ids.pt")
        with pytest.raises(ValueError, match=said):
            le.Split.from_file(tmp_path)
    (tmp_path / "train_ids.pt").write_bytes(b"no tensor")
    with pytest.raises(ValueError, match=r"cannot be read as row numbers \(UnpicklingError\)"):
        le.Split.from_file(tmp_path)


EXPLAIN = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def test_explain_by_a_split_of_a_file(linexp: Run, world: Path, tmp_path: Path):
    rows = [list(range(0, 60, 2)), list(range(1, 30, 2)), list(range(31, 60, 2))]
    (tmp_path / "ours.json").write_text(json.dumps(dict(zip(PARTS, rows, strict=True))))
    ended = linexp(*EXPLAIN, "--split", tmp_path / "ours.json", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    run = load_run(tmp_path / "out")
    assert [part.tolist() for part in (run.split.train, run.split.val, run.split.test)] == rows
    assert (run.settings["split"], run.settings["seed"]) == (str(tmp_path / "ours.json"), None)
    # Another result by the same split, from the first one's own list of images.
    again = linexp(*EXPLAIN, "--split", tmp_path / "out" / "images.csv", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "again" / "images.csv").read_bytes() == (tmp_path / "out" / "images.csv").read_bytes()
    assert linexp("report", tmp_path / "out", "--out", tmp_path / "page").code == 0
    assert "ours.json" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_row_numbers_count_the_pictures_that_are_left_out(linexp: Run, world: Path, tmp_path: Path):
    from tests.colour_world import draw_pictures

    draw_pictures(tmp_path / "pictures")
    (tmp_path / "pictures" / "black" / "00.png").write_bytes(b"broken")
    parts = {"train": list(range(0, 60, 2)), "val": list(range(1, 30, 2)), "test": list(range(31, 60, 2))}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    found = ("--images", tmp_path / "pictures", "--skip-broken", "--split", tmp_path / "split.json")
    ended = linexp(*EXPLAIN, *found, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    split = load_run(tmp_path / "out").split
    assert split.train.tolist() == [row - 1 for row in parts["train"][1:]]
    assert split.test.tolist() == [row - 1 for row in parts["test"]]


def test_a_wrong_split_is_refused_before_the_model_is_loaded(linexp: Run, tmp_path: Path):
    (tmp_path / "split.json").write_text('{"train": [0, 1], "val": [2, 3], "test": [4, 60]}')
    wrong = ("--split", tmp_path / "split.json", "--out", tmp_path / "out", "--model", "nothing:here")
    ended = linexp(*EXPLAIN, *wrong)
    assert ended.code == 1
    assert ended.err.startswith("Error: The split names image 60, but there are only 60 images (0 to 59).")
    both = linexp(*EXPLAIN, *wrong, "--seed", 3)
    assert both.err.startswith(f"Error: --seed 3 and --split '{tmp_path / 'split.json'}' contradict each other.")
