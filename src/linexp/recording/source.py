"""From images of any kind to batches of inputs for a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from linexp.images import Images, as_images, decoded_batches
from linexp.models.base import VisionModel


class Source:
    """The inputs, batch by batch, with what is needed to name one in a message."""

    def __init__(self, n_images: int, fingerprint: str, name: Callable[[int], str], batches: Iterator[Tensor]) -> None:
        self.n_images, self.fingerprint, self.name, self.batches = n_images, fingerprint, name, batches


def open_source(
    images: Any,
    model: nn.Module | VisionModel,
    preprocess: Callable[[Image], Tensor] | None,
    batch_size: int,
    workers: int | None,
) -> Source:
    """Turn whatever ``record_layers`` takes as images into batches of inputs for the model."""
    if isinstance(images, Tensor) and images.is_floating_point():
        content = images.detach().cpu().contiguous()
        digest = hashlib.sha256(repr(tuple(content.shape)).encode() + content.view(torch.uint8).numpy().tobytes())
        return Source(len(images), digest.hexdigest(), "image {}".format, iter(images.split(batch_size)))
    collection: Images = as_images(images)
    if preprocess is None and isinstance(model, VisionModel):
        preprocess = model.preprocess
    if preprocess is None:
        raise ValueError(
            "Nothing says how pictures become inputs of this model. Pass preprocess=, a function from a PIL picture "
            "to a tensor, such as the transform the model was trained with (linexp.to_unit_tensor only scales to "
            "[0, 1]), or load the model with linexp.load_model."
        )
    batches = decoded_batches(collection, preprocess, batch_size=batch_size, workers=workers)
    return Source(len(collection), collection.fingerprint, collection.name, batches)
