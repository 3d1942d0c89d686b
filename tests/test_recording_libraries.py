"""Recording the models people use: torchvision's, and transformers' with their own kinds of output."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification, ViTModel

from linexp.forward import record_layers
from linexp.forward.engines.fused import PairFinder
from tests.recording_twin import record_literally, some_inputs, with_statistics


def check(model: nn.Module, layers: list[str], images: Any, **settings: Any) -> None:
    recorded = record_layers(model, layers, images, batch_size=2, show_progress=False, **settings)
    for layer in layers:
        wanted = record_literally(model, layer, images, settings.get("pool", "mean"))
        assert (recorded[layer].values - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.fixture(scope="module")
def configuration() -> ViTConfig:
    return ViTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8
    )


@pytest.mark.parametrize("pool", ["mean", "max", "token"])
def test_vision_transformer(configuration: ViTConfig, pool: Any) -> None:
    torch.manual_seed(0)
    model = ViTForImageClassification(configuration)
    tokens = [name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)]
    blocks = [name for name, module in model.named_modules() if type(module).__name__ in ("ViTLayer", "ViTAttention")]
    assert len(blocks) >= 2
    layers = ["vit", *tokens, *blocks, *(["classifier"] if pool != "token" else [])]
    check(model, layers, some_inputs(3, side=16), pool=pool)


def test_model_outputs_are_understood(configuration: ViTConfig) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(ViTModel(configuration, add_pooling_layer=False))
    images = some_inputs(3, side=16)
    found = record_layers(model, ["0"], images, pool="token", show_progress=False)["0"]
    with torch.no_grad():
        wanted = model.eval()(images).last_hidden_state[:, 0]
    torch.testing.assert_close(found.values, wanted)


def test_wrong_image_size_is_said_in_the_models_own_words(configuration: ViTConfig) -> None:
    with pytest.raises(ValueError, match=r"\(8\*8\)|doesn't match"):
        record_layers(ViTModel(configuration), ["embeddings"], some_inputs(2, side=8), show_progress=False)


def test_resnet() -> None:
    torch.manual_seed(0)
    model = with_statistics(importlib.import_module("torchvision.models").resnet18(num_classes=5))
    images = some_inputs(3, side=33)
    layers = ["conv1", "bn1", "maxpool", "layer1.0", "layer1.0.conv2", "layer2.0.downsample", "layer4", "avgpool", "fc"]
    check(model, layers, images)
    finder = PairFinder(model, {"layer4": model.layer4})
    with torch.no_grad(), finder.watch():
        model.eval()(images)
    assert len(finder.pairs()) == 20
