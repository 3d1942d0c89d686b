"""Listing the layers of a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from linexp.forward import LayerInfo, list_layers
from linexp.models.base import VisionModel, to_unit_tensor
from tests.recording_twin import small_cnn
from tests.test_recording_state import State


def test_names_kinds_shapes_and_counts() -> None:
    model = small_cnn()
    found = list_layers(VisionModel("own", model, to_unit_tensor), side=10)
    assert [layer.name for layer in found] == [name for name, _ in model.named_modules()][1:]
    assert found[:2] == [LayerInfo("stem", "Sequential", (6, 10, 10), 1), LayerInfo("stem.0", "Conv2d", (6, 10, 10), 1)]
    assert found[-1] == LayerInfo("head", "Linear", (4,), 1)


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused, self.often, self.words, self.pair = nn.ReLU(), nn.ReLU(), nn.Identity(), nn.Identity()
        self.words.forward = lambda _: "word"
        self.pair.forward = lambda images: (None, {"x": images[:, 0, 0]})

    def forward(self, images: Tensor) -> Tensor:
        self.words(images)
        self.pair(images)
        return self.often(self.often(images)).mean()


def test_layers_that_run_never_or_often_or_return_no_tensor() -> None:
    found = list_layers(VisionModel("odd", Odd(), to_unit_tensor), side=4)
    assert found == [
        LayerInfo("unused", "ReLU", None, 0),
        LayerInfo("often", "ReLU", (3, 4, 4), 2),
        LayerInfo("words", "Identity", None, 1),
        LayerInfo("pair", "Identity", (4,), 1),
    ]


def test_model_is_left_as_found() -> None:
    model = small_cnn().train()
    model.stem.eval()
    state = State(model)
    list_layers(VisionModel("own", model, to_unit_tensor), side=8)
    state.check()


def test_model_is_left_as_found_after_an_error() -> None:
    state = State(model := small_cnn())

    def grey(picture: Image.Image) -> Tensor:
        return to_unit_tensor(picture)[:1]

    with pytest.raises(RuntimeError):
        list_layers(VisionModel("own", model, grey), side=8)
    state.check()


def test_picture_is_grey_and_of_the_side_asked_for() -> None:
    seen: list[Any] = []

    def keep(picture: Image.Image) -> Tensor:
        seen.append((picture.size, picture.mode, picture.getextrema()))
        return torch.zeros(3, 8, 8)

    list_layers(VisionModel("own", small_cnn(), keep), side=17)
    assert seen == [((17, 17), "RGB", ((128, 128),) * 3)]


def test_a_bare_module_is_listed_too() -> None:
    assert [(one.name, one.shape) for one in list_layers(small_cnn(), side=17)] == [
        (one.name, one.shape) for one in list_layers(VisionModel("own", small_cnn(), to_unit_tensor), side=17)
    ]
    grey = nn.Sequential(nn.Conv2d(1, 2, 1))
    found = list_layers(grey, side=4, preprocess=lambda picture: to_unit_tensor(picture)[:1])
    assert found[0].shape == (2, 4, 4)
    with pytest.raises(TypeError, match=r"The model is a list\. Give a torch\.nn\.Module, or what load_model returns"):
        list_layers([])  # pyright: ignore[reportArgumentType]
