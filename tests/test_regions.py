"""Rows that are cells of a grid: recorded, split by image, and found again in the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.matrix import Regions
from linexp.models import find_window


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, stride=2), torch.nn.ReLU())


def test_a_grid_has_the_numbers_of_the_map_row_by_row() -> None:
    network, inputs = small_network(), torch.rand(4, 3, 16, 12)
    recorded = le.record(network, "1", inputs, pool="grid", batch_size=3, show_progress=False)
    with torch.no_grad():
        maps = network(inputs)
    assert recorded.regions is not None
    assert (recorded.regions.height, recorded.regions.width) == maps.shape[2:]
    for row in range(recorded.n_images):
        image, down, across = recorded.regions.place(row)
        assert torch.allclose(recorded.values[row], maps[image, :, down, across], atol=1e-6)


@pytest.mark.parametrize("pool", ["grid", "grid:3", "grid:2x3"])
def test_a_grid_is_the_same_from_a_store_and_for_any_batch(tmp_path: Path, pool: str) -> None:
    network, inputs, store = small_network(), torch.rand(5, 3, 13, 13), le.Store(tmp_path)  # maps of 6 x 6
    first = le.record(network, "1", inputs, pool=pool, show_progress=False, store=store)
    again = le.record(network, "1", inputs, pool=pool, show_progress=False, store=store)
    small = le.record(network, "1", inputs, pool=pool, show_progress=False, batch_size=2)
    assert torch.equal(first.values, again.values)
    assert torch.allclose(first.values, small.values, atol=1e-6)
    assert first.images == again.images == small.images


def test_cells_of_a_coarser_grid_are_means() -> None:
    network, inputs = small_network(), torch.rand(2, 3, 13, 13)  # maps of 6 x 6
    fine = le.record(network, "1", inputs, pool="grid", show_progress=False).values.reshape(2, 6, 6, 5)
    coarse = le.record(network, "1", inputs, pool="grid:3", show_progress=False).values.reshape(2, 3, 3, 5)
    expected = fine.reshape(2, 3, 2, 3, 2, 5).mean((2, 4))
    assert torch.allclose(coarse, expected, atol=1e-6)


class Tokens(torch.nn.Module):
    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra, self.layer = extra, torch.nn.Identity()

    def forward(self, inputs: torch.Tensor) -> Any:
        patches = inputs.flatten(2).transpose(1, 2)
        return self.layer(torch.cat([torch.full((len(inputs), self.extra, 3), 9.0), patches], 1))


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_patch_tokens_are_cells_and_others_are_left_out(extra: int) -> None:
    inputs = torch.rand(3, 3, 4, 4)
    units = le.Grid(skip=extra if extra > 1 else None)
    recorded = le.record(Tokens(extra), "layer", inputs, units=units, show_progress=False)
    assert torch.equal(recorded.values, inputs.permute(0, 2, 3, 1).reshape(48, 3))


@pytest.mark.parametrize(
    ("units", "shape", "message"),
    [
        (le.Grid(), (2, 7), "has no positions"),
        (le.Grid(), (2, 7, 3), "no square of patches"),
        (le.Grid(5), (2, 3, 4, 8), "fewer than a grid of 5 x 5"),
        (le.Grid(3), (2, 3, 9, 8), "a grid of 3 x 3 cells does not divide"),
        (le.Grid(), (2, 4, 4, 8), "looks like \\[images, height, width, channels\\]"),
    ],
)
def test_a_layer_without_such_cells_is_refused(units: le.Grid, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        units.read(torch.zeros(shape), "layer", 2)


def test_a_cell_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="Use pool 'mean'"):
        le.Grid().set(torch.zeros(1, 2, 3, 3), 0, torch.zeros(1))


def test_a_misspelt_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="grid:7"):
        le.record(small_network(), "1", torch.rand(2, 3, 9, 9), pool="grid7", show_progress=False)


def test_all_cells_of_an_image_are_in_one_part() -> None:
    recorded = le.record(small_network(), "1", torch.rand(30, 3, 9, 9), pool="grid", show_progress=False)
    split = le.Split.random(30)
    rows = split.for_rows(recorded)
    assert recorded.regions is not None
    for part in ("train", "val", "test"):
        images = recorded.regions.image_of(getattr(rows, part))
        assert torch.equal(images.unique(), getattr(split, part))
    assert sum(len(getattr(rows, part)) for part in ("train", "val", "test")) == recorded.n_images
    with pytest.raises(le.DifferentImagesError, match="only 30"):
        le.Split.random(31).for_rows(recorded)


def test_a_split_of_whole_images_stays_as_it_is() -> None:
    split = le.Split.random(20)
    assert split.for_rows(le.ActivationMatrix(torch.rand(20, 2))) is split


def test_the_fingerprint_says_images_grid_and_window() -> None:
    whole = Regions(3, 2, 2, "abc")
    others = [
        Regions(3, 4, 1, "abc"),
        Regions(3, 2, 2, "abd"),
        Regions(3, 2, 2, "abc", torch.tensor([[0.0, 0, 1, 0.5]] * 3)),
    ]
    assert len({one.fingerprint for one in [whole, *others]}) == 4
    assert Regions(3, 2, 2).fingerprint is None
    matrix = le.ActivationMatrix(torch.rand(12, 2), regions=whole)
    assert matrix.images == whole.fingerprint
    assert matrix.select([1]).regions is whole


def test_regions_and_rows_must_fit() -> None:
    with pytest.raises(ValueError, match="which are 12"):
        le.ActivationMatrix(torch.rand(11, 2), regions=Regions(3, 2, 2))
    with pytest.raises(ValueError, match="Give top, left"):
        Regions(3, 2, 2, None, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="Give regions alone"):
        le.ActivationMatrix(torch.rand(12, 2), images="other", regions=Regions(3, 2, 2, "abc"))


def cropping(size: int, crop: int, *, mirror: bool = False, pad: int = 0) -> Any:
    """A resize of the whole picture and a crop of its middle, written out."""

    def preprocess(picture: Image.Image) -> torch.Tensor:
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        start = (size - crop) // 2
        pixels = pixels[start : start + crop, start : start + crop]
        pixels = pixels[:, ::-1] if mirror else pixels
        pixels = np.pad(pixels, [(pad, pad), (pad, pad), (0, 0)])
        return torch.from_numpy((pixels.copy() - 0.4) / 0.2).permute(2, 0, 1)

    return preprocess


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (90, 400)])
def test_the_window_of_a_crop_is_found(size: tuple[int, int]) -> None:
    found = find_window(cropping(100, 80), size)
    assert found == pytest.approx((0.1, 0.1, 0.9, 0.9), abs=0.006)


def test_the_window_of_a_mirrored_or_padded_picture_is_found() -> None:
    mirrored = find_window(cropping(100, 80, mirror=True), (120, 90))
    assert mirrored == pytest.approx((0.1, 0.9, 0.9, 0.1), abs=0.006)
    padded = find_window(cropping(100, 100, pad=25), (120, 90))
    assert padded == pytest.approx((-0.25, -0.25, 1.25, 1.25), abs=0.006)


def turned(picture: Image.Image) -> torch.Tensor:
    pixels = np.asarray(picture.resize((64, 64)).rotate(30), dtype=np.float32)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def by_chance(picture: Image.Image) -> torch.Tensor:
    start = int(torch.randint(0, 30, ()))
    pixels = np.asarray(picture.resize((100, 100)), dtype=np.float32)[:, start : start + 60]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def constant(picture: Image.Image) -> torch.Tensor:
    del picture
    return torch.zeros(3, 8, 8)


@pytest.mark.parametrize("preprocess", [turned, by_chance, constant])
def test_what_is_no_resampling_is_refused(preprocess: Any) -> None:
    torch.manual_seed(1)
    with pytest.raises(ValueError, match="no plain resizing and cropping"):
        find_window(preprocess, (100, 80))


def test_a_transform_of_torchvision_is_seen_through() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    resize = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(56), transforms.ToTensor()])
    # 96 x 64 pixels become 96 x 64, of which 56 in the middle are kept.
    expected = (4 / 64, 20 / 96, 60 / 64, 76 / 96)
    assert find_window(resize, (96, 64)) == pytest.approx(expected, abs=0.006)


def test_recording_says_which_part_of_each_picture_was_seen(tmp_path: Path) -> None:
    for number, size in enumerate([(40, 40), (80, 40), (40, 40)]):
        Image.new("RGB", size, (number * 60, 0, 90)).save(tmp_path / f"{number}.png")
    recorded = le.record(
        small_network(), "1", le.ImageFolder(tmp_path), preprocess=cropping(40, 20), pool="grid", show_progress=False
    )
    assert recorded.regions is not None
    assert recorded.regions.windows is not None
    assert recorded.regions.windows.numpy() == pytest.approx(np.array([[0.25, 0.25, 0.75, 0.75]] * 3), abs=0.006)
    with pytest.raises(ValueError, match="no plain resizing"):
        le.record(small_network(), "1", le.ImageFolder(tmp_path), preprocess=turned, pool="grid", show_progress=False)
