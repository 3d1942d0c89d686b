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
        _check_not_empty(len(images) if images.ndim else 0)
        batches = iter(images.detach().split(batch_size))
        return Source(len(images), _fingerprint(images), "image {}".format, batches)
    collection: Images = as_images(images)
    _check_not_empty(len(collection))
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


def _fingerprint(inputs: Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(inputs.shape)).encode())
    for one in inputs.detach():  # one by one, so that no copy of them all is made
        digest.update(one.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_not_empty(n_images: int) -> None:
    if n_images == 0:
        raise ValueError("There are 0 images. Give at least one; the first axis of a tensor is the images.")
