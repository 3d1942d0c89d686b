"""Recording gives the layer's own outputs, of any layer of any model, whatever the batches."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import linexp as le
from linexp.images import as_images
from linexp.models.base import to_unit_tensor
from tests.recording_twin import record_literally, small_cnn, some_inputs

LAYERS = ["stem", "stem.0", "stem.1", "stem.2", "block", "block.0", "block.1", "drop", "head"]


def quiet(model: Any, layer: str, images: Any, **settings: Any) -> Tensor:
    return le.record(model, layer, images, show_progress=False, **settings).values


def assert_close(found: Tensor, wanted: Tensor, tolerance: float = 1e-5) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_every_layer_agrees_with_the_literal_twin(pool: Any, engine: str) -> None:
    model, images = small_cnn(), some_inputs()
    together = le.record_layers(model, LAYERS, images, pool=pool, engine=engine, batch_size=3, show_progress=False)
    assert list(together) == LAYERS
    for layer in LAYERS:
        wanted = record_literally(model, layer, images, pool)
        assert together[layer].layer == layer
        assert_close(together[layer].values, wanted)
        assert_close(quiet(model, layer, images, pool=pool, engine=engine), wanted)


@pytest.mark.parametrize("layer", LAYERS)
def test_batch_size_does_not_matter(layer: str) -> None:
    model, images = small_cnn(), some_inputs()
    at_once = quiet(model, layer, images, batch_size=len(images))
    for batch_size in (1, 3):
        assert_close(quiet(model, layer, images, batch_size=batch_size), at_once, 1e-6)


def test_model_in_train_mode_is_recorded_in_eval_mode() -> None:
    model, images = small_cnn(), some_inputs()
    wanted = quiet(model.eval(), "drop", images)
    assert torch.equal(quiet(model.train(), "drop", images), wanted)


def test_one_pass_for_all_layers_after_the_probes() -> None:
    model = small_cnn()
    le.record_layers(model, LAYERS, some_inputs(12), batch_size=6, show_progress=False)
    assert model.n_calls <= 2 + 1 + 5
    assert model.n_images <= 12 + 6 + 5 * 4
    for n_batches in (3, 10):
        model = small_cnn()
        le.record_layers(model, LAYERS, some_inputs(2 * n_batches), batch_size=2, engine="eager", show_progress=False)
        assert model.n_calls == n_batches + 1 + 2


def test_layers_behind_the_last_wanted_one_run_once_only() -> None:
    model, images = small_cnn(), some_inputs()
    seen: list[int] = []
    model.head.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    le.record_layers(model, ["stem.0", "block.0"], images, batch_size=2, show_progress=False)
    assert seen == [2]


class Swallowing(nn.Module):
    """Catches whatever goes wrong in its first layer and carries on, or tries once more."""

    def __init__(self, kind: type[BaseException], *, again: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.kind, self.again = nn.Linear(3, 4), nn.Linear(4, 2), kind, again
        self.n_second = 0

    def forward(self, inputs: Tensor) -> Tensor:
        try:
            features = self.first(inputs)
        except self.kind:
            features = self.first(inputs) if self.again else inputs.new_zeros(len(inputs), 4)
        self.n_second += 1
        return self.second(features)


def test_a_model_that_catches_exceptions_does_not_catch_the_early_stop() -> None:
    model, images = Swallowing(Exception), torch.rand(6, 3)
    assert_close(quiet(model, "first", images, batch_size=2), record_literally(model, "first", images))
    before = model.n_second
    quiet(model, "first", images, batch_size=2)
    assert model.n_second == before + 1


@pytest.mark.parametrize("again", [True, False])
def test_a_model_that_catches_everything_is_recorded_all_the_same(again: bool) -> None:
    model, images = Swallowing(BaseException, again=again), torch.rand(6, 3)
    assert_close(quiet(model, "first", images, batch_size=2), record_literally(model, "first", images))


class Viewing(nn.Module):
    """Only takes feature maps that lie in memory as they are numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.head = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(5 * 36, 4)

    def forward(self, images: Tensor) -> Tensor:
        features = self.bn(self.conv(images))
        return self.head(features.view(len(features), -1))


def test_a_model_that_views_feature_maps_works() -> None:
    model, images = Viewing(), some_inputs()
    assert_close(quiet(model, "head", images), record_literally(model, "head", images))


class Striding(nn.Module):
    """Reads its input's memory directly, so that another layout gives other numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.as_strided((len(images), 5), (images[0].numel(), 1)))


def test_a_model_that_depends_on_the_memory_layout_gets_its_own() -> None:
    images = some_inputs()
    assert torch.equal(quiet(Striding(), "layer", images), images.flatten(1)[:, :5])


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.end = nn.Conv2d(3, 4, 3), nn.Identity()
        self.maps: list[weakref.ref[Tensor]] = []
        self.most_alive = 0

    def forward(self, images: Tensor) -> Tensor:
        self.most_alive = max(self.most_alive, sum(feature() is not None for feature in self.maps))
        output = self.layer(images)
        self.maps.append(weakref.ref(output))
        return self.end(output * 2)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_feature_maps_of_earlier_batches_are_freed(pool: Any) -> None:
    model = Remembering()
    gc.disable()
    try:
        le.record_layers(model, ["layer", "end"], some_inputs(8), batch_size=2, pool=pool, show_progress=False)
    finally:
        gc.enable()
    assert len(model.maps) >= 4 + 2
    assert model.most_alive == 0
    assert not any(feature() is not None for feature in model.maps)


class Counting(nn.Module):
    """Counts how many of the batches it has seen are still in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.seen: list[weakref.ref[Tensor]] = []
        self.n_alive = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(weakref.ref(images))
        self.n_alive = sum(batch() is not None for batch in self.seen)
        return self.layer(images)


def test_input_batches_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(*_: Any, **__: Any) -> Iterator[Tensor]:
        for _ in range(6):
            yield some_inputs(2)

    monkeypatch.setattr("linexp.forward.batches.decoded_batches", batches)
    model = Counting()
    quiet(model, "layer", np.zeros((12, 8, 8, 3), dtype=np.uint8), preprocess=to_unit_tensor, batch_size=2)
    assert len(model.seen) >= 6 + 2
    assert model.n_alive == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for index in range(5):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"picture{index}.png")
    return tmp_path


def test_folder_files_array_and_tensor_give_the_same(folder: Path) -> None:
    model = small_cnn()
    files = sorted(folder.glob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    inputs = torch.stack([to_unit_tensor(Image.open(file)) for file in files])
    wanted = quiet(model, "block", inputs)
    for images in (folder, str(folder), files, pixels, torch.from_numpy(pixels), as_images(pixels)):
        assert torch.equal(quiet(model, "block", images, preprocess=to_unit_tensor), wanted)


def test_fingerprints_are_those_of_the_images() -> None:
    def fingerprint(images: Any, **settings: Any) -> str | None:
        return le.record(small_cnn(), "head", images, show_progress=False, **settings).images

    images = some_inputs()
    assert fingerprint(images) == fingerprint(images.clone(), batch_size=2)
    assert fingerprint(images) == fingerprint(images.contiguous(memory_format=torch.channels_last))
    assert fingerprint(images) != fingerprint(images.flip(0))
    pixels = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    assert fingerprint(pixels, preprocess=to_unit_tensor) == as_images(pixels).fingerprint


def test_a_loaded_model_brings_its_preprocessing(folder: Path) -> None:
    module = small_cnn()
    model = le.VisionModel("own", module, to_unit_tensor)
    assert torch.equal(quiet(model, "head", folder), quiet(module, "head", folder, preprocess=to_unit_tensor))
    inverted = quiet(model, "head", folder, preprocess=lambda picture: 1 - to_unit_tensor(picture))
    assert not torch.equal(inverted, quiet(model, "head", folder))
