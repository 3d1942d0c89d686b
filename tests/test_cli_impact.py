"""``linexp impact`` as a user meets it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image

import linexp as le
from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.test_cli_ablate import CLASSIFIER

START = ("impact", "--model", "mymodels:build", "--images", "pictures")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "mymodels.py").write_text(CLASSIFIER)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def test_impact(linexp: Run, world: Path, tmp_path: Path):
    out = tmp_path / "out"
    ended = linexp(*START, "--layer", "0", "--layers", "1", "--betas", "0.1, 0.5 1", "--out", out)
    assert ended.code == 0, ended.err
    lines = [re.split(r"\s*│\s*", line.strip("│ ")) for line in ended.out.splitlines() if line.startswith("│")]
    names = ["0", "0, without dead", "1", "1, without dead", "all", "all, without dead"]
    assert [line[0] for line in lines] == names
    assert [line[1:3] for line in lines] == [["4", "1"], ["3", "0"]] * 2 + [["8", "2"], ["6", "0"]]
    assert lines[0][-1] == "100.0000 ± 0.0000"
    assert "60 images, 80.0 % answered right" in ended.out
    rows = list(csv.DictReader((out / "neurons.csv").read_text().splitlines()))
    assert [row["neuron"] for row in rows] == list("0123") * 2
    assert [row["dead"] for row in rows] == ["0", "0", "0", "1"] * 2
    assert rows[3]["ti_0.1"] == ""
    measured = le.impact(
        *(le.load_model("mymodels:build"), "0", le.ImageFolder(world / "pictures")), show_progress=False
    )
    expected = le.top_impact(measured, [0.1, 0.5, 1])
    for row, values, errors in zip(rows, expected.values.tolist(), expected.errors.tolist(), strict=False):
        if row["ti_0.5"]:
            assert float(row["ti_0.5"]) == pytest.approx(values[1])
            assert float(row["ti_0.5_error"]) == pytest.approx(errors[1])
    summary = next(csv.DictReader((out / "impact.csv").read_text().splitlines()))
    assert float(summary["TI 0.5 %"]) == pytest.approx(100 * float(expected.mean[1]))
    with Image.open(out / "top-impact.png") as figure:
        assert figure.size == (1560, 690)
    assert "TI 0.5 %" in (out / "impact.md").read_text()


def test_few_images_and_drawn_neurons(linexp: Run, tmp_path: Path):
    drawn = ("--n-images", "30", "--n-neurons", "2", "--seed", "1", "--temperature", "1", "--layer", "0", "--no-store")
    ended = linexp(*START, *drawn, "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert "30 images" in ended.out
    assert "TI 0.0003 needs 3,334 images or more: 0.0003 of these is less than one." in ended.out
    assert len((tmp_path / "neurons.csv").read_text().splitlines()) == 3


def test_own_answers(linexp: Run, world: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for place, path in enumerate(sorted((world / "pictures").rglob("*.png"))[::2]):
        (flat / f"{place}.png").write_bytes(path.read_bytes())
    arguments = ("impact", "--model", "mymodels:build", "--images", flat, "--layer", "0", "--out", tmp_path / "out")
    refused = linexp(*arguments)
    assert refused.code == 1
    assert "are in no sub-folders, so they have no labels" in refused.err
    assert "(--outputs own)" in refused.err
    ended = linexp(*arguments, "--outputs", "own")
    assert ended.code == 0, ended.err
    assert "100.0 % answered right" in ended.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--betas", "0.1,many"), "'many' in --betas is no number. Write shares such as 0.002,0.02,0.1."),
        (("--betas", "0.1,1.5"), "β is 1.5. It is a share of the images: above 0, at most 1."),
        (("--betas", "0"), "β is 0.0. It is a share of the images: above 0, at most 1."),
        (("--layer", "9"), "The model has no layer '9'."),
        (("--n-images", "61"), "There are 60 images, not 61. Ask for fewer"),
        (("--outputs", "missing.txt"), "missing.txt"),
        (("--temperature", "-1"), "temperature is -1.0. It must be above 0"),
        (("--precision", "float8"), "precision is 'float8'"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(linexp: Run, tmp_path: Path, given: tuple[str, ...], said: str):
    layer = () if "--layer" in given else ("--layer", "0")
    ended = linexp(*START, *layer, *given, "--out", tmp_path / "out")
    assert ended.code == 1
    assert said in ended.err
    assert "removing" not in ended.err


def test_outputs_that_do_not_fit(linexp: Run, tmp_path: Path):
    (tmp_path / "outputs.txt").write_text(
        "".join(f"{name}\t7\n" for name in ("black", "blue", "green", "red", "yellow"))
    )
    ended = linexp(*START, "--layer", "0", "--outputs", tmp_path / "outputs.txt", "--out", tmp_path / "out")
    assert ended.code == 1
    assert "An image has the label 7, but the model has 5 outputs (0 to 4)" in ended.err
