"""Which part of each picture the network sees, so that a cell of a feature map can be found in the picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor, nn

from linexp.images import as_images, size_of
from linexp.models import VisionModel, find_window


def find_windows(
    images: Any, model: nn.Module | VisionModel, preprocess: Callable[[Image], Tensor] | None
) -> Float[Tensor, "images 4"] | None:
    """Return the window of each picture; ``None`` for inputs that are ready, which the network sees whole.

    Raises
    ------
    ValueError
        The preprocessing does more than resizing, cropping, padding and mirroring.
    """
    if isinstance(images, Tensor) and images.is_floating_point():
        return None
    how = model.preprocess if preprocess is None and isinstance(model, VisionModel) else preprocess
    if how is None:
        return None  # refused where the inputs are opened
    known = cache(lambda size: find_window(how, size))  # pyright: ignore[reportUnknownLambdaType]
    pictures = as_images(images)
    return torch.tensor([known(size_of(pictures, row)) for row in range(len(pictures))], dtype=torch.float64)
