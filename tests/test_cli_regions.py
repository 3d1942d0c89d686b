"""Regions and masks from the command line: explained, kept, judged, shown, and refused where they cannot be."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp import results
from linexp.matrix import load_activations
from tests.command_line import Run, command_line
from tests.region_world import N_IMAGES, make_regions

EXPLAIN = ("explain", "--model", "mymodels:build", "--images", "pictures", "--no-store")
MASKS = ("--concepts", "pixels", "--masks", "masks", "--mask-names", "names.tsv")
LINEAR = ("--n-groups", "0", "--n-repeats", "0", "--min-activity", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: Any) -> Path:
    return make_regions(tmp_path_factory.mktemp("regions"))


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "world"))


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    yield from command_line(world, monkeypatch, capfd)


def explain(linexp: Run, *more: str, out: str = "out") -> Any:
    own = () if "--method" in more else LINEAR
    return linexp(*EXPLAIN, "--layer", "maps", "--out", out, *own, *more)


def test_regions_are_explained_by_masks_kept_and_judged(linexp: Run, world: Path) -> None:
    done = explain(linexp, "--regions", "grid", *MASKS)
    assert done.code == 0, done.err
    assert f"all {N_IMAGES * 16} regions" in done.out
    assert done.out.endswith("Next: linexp score out\n")
    result = le.read_result(world / "out")
    assert result.activations.regions is not None
    assert (result.n_pictures, len(result.image_names), result.activations.n_images) == (N_IMAGES, 30, 480)
    assert result.explanations[0].names == ("red",)
    assert result.explanations[1].names == ("green",)
    with (world / "out" / "images.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == N_IMAGES
    tested = {number for number, line in enumerate(lines) if line["part"] == "test"}
    assert set((result.split.test // 16).tolist()) == tested
    scored = linexp("score", "out")
    assert scored.code == 0, scored.err
    assert "regions: 4 x 4 of each image" in scored.out
    assert re.search(r"\(\d neurons(, \d undefined)?, 96 regions", scored.out)
    # What is in the file is what a plain computation gives.
    columns = le.read_result(world / "out").columns
    assert [column.title for column in columns] == ["correlation"]
    known = {column.metric: column.values for column in columns}
    concepts, rows = result.concepts.values.double(), result.split.test
    item = result.explanations[0]
    predicted = sum(term.weight * concepts[:, result.concepts.names.index(str(term.concept))] for term in item.terms)
    pair = torch.stack([torch.as_tensor(predicted)[rows], result.activations.values[rows, 0].double()])
    assert known["correlation"][0] == pytest.approx(float(torch.corrcoef(pair)[0, 1]), abs=1e-6)


def test_a_folder_gives_back_what_was_saved(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid:2", *MASKS).code == 0
    images = le.ImageFolder(world / "pictures")
    module, preprocess = __import__("mymodels").build()
    cells = le.record(module, "maps", images, preprocess=preprocess, pool="grid:2", show_progress=False)
    shares = le.PixelConcepts(world / "masks", world / "names.tsv").describe(images, cells)
    result = le.read_result(world / "out")
    assert isinstance(result.concepts, le.PixelConceptMatrix)
    assert torch.equal(result.activations.values, cells.values)
    assert torch.equal(result.concepts.values, shares.values)
    assert np.array_equal(result.concepts.maps, shares.maps)
    assert result.activations.images == cells.images == result.concepts.images
    assert torch.equal(result.split.test, le.Split.random(N_IMAGES).for_rows(cells).test.sort().values)
    again = result.save(world / "again")
    assert torch.equal(le.read_result(again).activations.values, cells.values)
    assert np.array_equal(le.read_result(again).concepts.maps, shares.maps)  # pyright: ignore[reportAttributeAccessIssue]


def test_show_and_simulate_know_regions(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    shown = linexp("show", "out", "0")
    assert shown.code == 0, shown.err
    assert "test regions" in shown.out
    assert re.search(r"pictures/all/\d\d\.png, cell [1-4] down, [1-4] across", shown.out)
    assert linexp("summarize", "out/explanations.csv").code == 0
    done = linexp("simulate", "out", "--out", "simulated.safetensors")
    assert f"on {N_IMAGES * 16} regions" in done.out
    assert load_activations(world / "simulated.safetensors").images == le.read_result(world / "out").activations.images


def test_masks_explain_whole_images_too(linexp: Run, world: Path) -> None:
    done = explain(linexp, *MASKS, "--pool", "max")
    assert done.code == 0, done.err
    result = le.read_result(world / "out")
    assert (result.activations.n_images, result.judge) == (N_IMAGES, "pixels")
    images = le.ImageFolder(world / "pictures")
    shares = le.PixelConcepts(world / "masks", world / "names.tsv").describe(images)
    assert torch.equal(result.concepts.values, shares.values)


def test_a_segmenter_that_sees_the_same_explains_the_same(linexp: Run, world: Path) -> None:
    for part in (world / "masks" / "all").iterdir():  # a mask that ignores nothing
        mask = np.asarray(Image.open(part)).copy()
        pixels = np.asarray(Image.open(world / "pictures" / "all" / part.name)).astype(int)
        mask[mask == 255] = 0
        mask[(pixels[..., 0] > 99) & (mask == 0)] = 1
        mask[(pixels[..., 1] > 99) & (mask == 0)] = 2
        Image.fromarray(mask).save(part)
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    done = explain(linexp, "--regions", "grid", "--concepts", "segmenter:mymodels:segment", out="seen")
    assert done.code == 0, done.err
    one, other = (le.read_result(world / name).explanations for name in ("out", "seen"))
    assert [item.terms for item in one] == [item.terms for item in other]


def test_colours_explain_without_masks(linexp: Run, world: Path) -> None:
    done = explain(
        linexp, "--regions", "grid", "--concepts", "colours", "--method", "dissection", "--set", "quantile=0.9"
    )
    assert done.code == 0, done.err
    assert le.read_result(world / "out").judge == "colours"


def test_methods_are_compared_on_regions(linexp: Run, world: Path) -> None:
    network = ("--model", "mymodels:build", "--images", "pictures", "--layer", "maps", "--no-store", "--no-report")
    asked = ("compare", *network, "--regions", "grid", *MASKS, "--methods", "random,dissection", "--out", "both")
    done = linexp(*asked, "--set", "dissection.quantile=0.9")
    assert done.code == 0, done.err
    assert le.read_result(world / "both" / "dissection").activations.regions is not None
    for more in (("--simulator", "conse:efficientnet_lite1"), ("--ablate",)):
        refused = linexp(*asked[:-1], "other", *more)
        assert f"{more[0]} is of whole images, and there are regions" in refused.err


def test_an_explained_folder_is_explained_again_as_it_says(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    done = linexp("run", "out/run.json", "--out", "again")
    assert done.code == 0, done.err
    assert (world / "again" / "explanations.csv").read_bytes() == (world / "out" / "explanations.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--regions", "grid"), "says what is in a whole image, not where"),
        (("--regions", "cells", *MASKS), "Write grid, or grid:7"),
        (("--regions", "grid", "--pool", "max", *MASKS), "--regions grid and --pool max contradict"),
        (("--regions", "grid:3", *MASKS), "4 x 4 positions, which a grid of 3 x 3 cells does not divide"),
        (("--regions", "grid:8", *MASKS), "4 x 4 positions, fewer than a grid of 8 x 8"),
        (("--regions", "grid", *MASKS, "--layer", "head"), "'head' returns .* no positions"),
        (("--concepts", "pixels"), "Name them with --masks"),
        (("--concepts", "colours", "--masks", "masks"), "--masks is of no use with --concepts colours"),
        (("--concepts", "pixels", "--masks", "masks/all"), "values have no names"),
        (
            ("--concepts", "pixels", "--masks", "masks", "--mask-names", "few.tsv"),
            "has the values 2, which have no name",
        ),
        (("--concepts", "pixels", "--masks", "nowhere", "--mask-names", "names.tsv"), "There is no folder 'nowhere'"),
        (("--regions", "grid", "--concepts", "segmenter:mymodels:mapless"), "The segmenter made"),
        (("--concepts", "segments"), "segmenter:NAME"),
        ((*MASKS, "--encoder", "conse:efficientnet_lite2"), "--encoder is of no use with concepts from pixels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    linexp: Run, world: Path, options: tuple[str, ...], message: str
) -> None:
    (world / "few.tsv").write_text("0\tground\n1\tred\n")
    done = explain(linexp, *options)
    assert done.code == 1
    assert re.search(message, done.err), done.err
    assert done.err.count("Error") == 1
    assert not (world / "out" / "run.json").exists()


def test_masks_that_do_not_go_with_the_pictures_are_refused(linexp: Run, world: Path) -> None:
    mask = world / "masks" / "all" / "07.png"
    Image.open(mask).resize((8, 8)).save(mask)
    done = explain(linexp, "--regions", "grid", *MASKS)
    assert "07.png' has 8 x 8 pixels and the image" in done.err
    mask.unlink()
    done = explain(linexp, "--regions", "grid", *MASKS)
    assert "There is no mask of the image" in done.err
    assert "07.png" in done.err


def test_what_is_of_whole_images_refuses_regions(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    for command in (("score", "out", "--simulator", "conse:efficientnet_lite1"), ("ablate", "out")):
        done = linexp(*command)
        assert done.code == 1
        assert "The rows of 'out' are regions of images, and" in done.err
    network = ("--model", "mymodels:build", "--images", "pictures", "--layer", "maps")
    done = linexp("impact", *network, "--pool", "grid", "--out", "impact")
    assert "--pool grid makes regions, and impact removes a neuron in whole images" in done.err


def test_errors_leave_out_whole_images(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    result = le.read_result(world / "out")
    simulated, rows = le.simulate(result.explanations, result.concepts), result.split.test
    regions = result.activations.regions
    assert regions is not None
    images = regions.image_of(rows)
    for scorer in (le.CorrelationScorer(), le.CosineScorer(), le.SpearmanScorer()):
        errors = scorer.score(simulated, result.activations, rows).errors
        # Fewer than twenty images: each is left out alone.
        kept = [rows[images != image] for image in images.unique()]
        left = torch.stack([scorer.score(simulated, result.activations, some).values[:2].double() for some in kept])
        expected = ((len(left) - 1) / len(left) * (left - left.mean(0)).square().sum(0)).sqrt()
        assert errors is not None
        assert errors[:2].double().numpy() == pytest.approx(expected.numpy(), rel=1e-5)


def test_a_split_that_divides_an_image_is_refused(linexp: Run, world: Path) -> None:
    assert explain(linexp, "--regions", "grid", *MASKS).code == 0
    result = le.read_result(world / "out")
    with pytest.raises(ValueError, match="Regions of one image are in different parts"):
        le.Result(result.activations, result.concepts, le.Split.random(480), result.explanations)


def test_masks_that_moved_within_their_cells_are_other_masks(world: Path) -> None:
    """Shares stay, pixels do not: a comparison takes nothing from before."""
    generator = np.random.default_rng(0)
    regions = le.Regions(20, 2, 2, "pictures")
    activations = le.ActivationMatrix(generator.random((80, 2)), layer="maps", regions=regions)
    split = le.Split.random(20).for_rows(activations)
    maps, shares = generator.integers(0, 2, (20, 1, 4, 4)).astype(np.int16), generator.random((80, 2))
    names, pictures = tuple(map(str, range(20))), tuple(f"{number:064x}" for number in range(20))

    def compare(maps: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
        concepts = le.PixelConceptMatrix(shares, ["a", "b"], maps, {}, regions.fingerprint)
        run = results.Run(activations, concepts, split, image_names=names, contents=pictures)
        methods = {"dissection": le.DissectionExplainer(n_groups=0)}
        return next(iter(results.explain_methods(world / "both", run, methods))).before

    assert [compare(maps), compare(maps), compare(maps[..., ::-1])] == [False, True, False]
