"""The cut through the models people use: torchvision's, timm's, and transformers' with their own kinds of output."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

from linexp.forward.partial import BehindLayer, find_linear_tail
from linexp.forward.units import choose_units
from tests.ablation_twin import changed_copies, overwriter, put
from tests.recording_twin import with_statistics


def check(model: nn.Module, layer: str, *, linear: bool, side: int = 32, **how: Any) -> BehindLayer:
    model = with_statistics(model).double().eval()
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    behind = BehindLayer(model, layer, images)
    stored = behind.store(images)
    units = choose_units(**how)
    changed = changed_copies(units, stored.layer_output, [3, 0], torch.full((2, 3), 0.7).double())
    found = behind.logits(stored, changed)
    twin, spy = overwriter(model, layer)
    for tile, neuron in enumerate((3, 0)):
        spy.change = lambda output, neuron=neuron: put(
            output.permute(0, 3, 1, 2) if how.get("channels") == "last" else output,
            neuron,
            0.7,
            "set",
            0 if how.get("pool") == "token" else None,
        )
        for image in range(3):
            with torch.no_grad():
                expected = twin(images[image : image + 1])
            expected = expected if isinstance(expected, Tensor) else expected.logits
            torch.testing.assert_close(found[tile * 3 + image], expected[0], rtol=1e-6, atol=1e-8)
    rows, neurons = torch.tensor([2, 0, 2]), torch.tensor([1, 3, 0])
    picked = behind.pick(stored, rows)
    removed = behind.logits(picked, units.changed(picked.layer_output, neurons))
    for place, (image, neuron) in enumerate(zip(rows.tolist(), neurons.tolist(), strict=True)):
        spy.change = lambda output, neuron=neuron: zero(output, neuron, how.get("channels", "auto"))
        with torch.no_grad():
            expected = twin(images[image : image + 1])
        expected = expected if isinstance(expected, Tensor) else expected.logits
        torch.testing.assert_close(removed[place], expected[0], rtol=1e-6, atol=1e-8)
    assert (find_linear_tail(behind, stored, units) is not None) is linear
    return behind


def zero(output: Tensor, neuron: int, channels: str) -> None:
    output.select(1 if output.ndim == 2 or (output.ndim == 4 and channels != "last") else -1, neuron).zero_()


TORCHVISION = [
    ("resnet18", "layer4", {}, True),
    ("resnet18", "layer3.0.bn1", {}, False),
    ("densenet121", "features.denseblock4.denselayer15", {}, False),
    ("mobilenet_v3_small", "features.6.block.2", {}, False),  # squeeze and excitation
    ("swin_t", "features.7.0.mlp", {"channels": "last"}, False),
]


@pytest.mark.parametrize(("name", "layer", "how", "linear"), TORCHVISION, ids=[f"{c[0]} {c[1]}" for c in TORCHVISION])
def test_torchvision(name, layer, how, linear):
    library = importlib.import_module("torchvision.models")
    torch.manual_seed(0)
    behind = check(getattr(library, name)(weights=None, num_classes=7), layer, linear=linear, **how)
    assert behind.n_skipped > 0


def test_timm():
    timm = importlib.import_module("timm")
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=7, img_size=32, depth=4)
    assert check(model, "blocks.2.mlp.fc1", linear=False).n_skipped > 0


def test_transformers():
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=4
    )
    assert check(ViTForImageClassification(config), "vit.layernorm", linear=True, side=16, pool="token").n_skipped > 0
    small = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    check(ResNetForImageClassification(small), "resnet.encoder", linear=True)
    check(ResNetForImageClassification(small), "resnet.encoder.stages.0", linear=False)
