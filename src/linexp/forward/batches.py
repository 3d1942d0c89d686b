"""From images of any kind to batches of inputs for a model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp._internal.checks import check_same_images
from linexp.images import Images, ImageSubset, as_images, content_fingerprint, decoded_batches
from linexp.matrix import ActivationMatrix
from linexp.models import VisionModel
from linexp.store import Parts, content_of, whole

# Small batches keep a layer's feature maps in the processor's cache and in memory the allocator hands out again
# without asking the system; measured best on CPUs. A GPU wants more at a time.
BATCH_SIZE_CPU = 8
BATCH_SIZE_CUDA = 64
# On a CPU the network needs the cores: measured on two, a process that decodes slows it by more than it saves.
CORES_PER_DECODER = 4


def size_on(device: torch.device, batch_size: int | None) -> int:
    """Return how many inputs go through a network at a time, where nothing is said what suits the device."""
    return batch_size or (BATCH_SIZE_CPU if device.type == "cpu" else BATCH_SIZE_CUDA)


def decoders_on(device: torch.device, workers: int | None = None) -> int | None:
    """Return how many processes decode beside a network; ``None``: as many as ``decoded_batches`` likes."""
    return (os.cpu_count() or 1) // CORES_PER_DECODER if workers is None and device.type == "cpu" else workers


def open_module(model: nn.Module | VisionModel) -> tuple[nn.Module, torch.device]:
    """Return the module and where it is; raise ``TypeError`` if it is none of PyTorch's."""
    module = model.module if isinstance(model, VisionModel) else model
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"The model is a {type(module).__name__}. Give a torch.nn.Module, or what load_model returns.")
    return module, next((part.device for part in [*module.parameters(), *module.buffers()]), torch.device("cpu"))


def move(batch: Tensor, device: torch.device) -> Tensor:
    """Return a batch on the device; to CUDA from pinned memory, so that this thread need not wait for the copy."""
    if device.type == "cuda" and batch.device.type == "cpu":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)


class Inputs:
    """Batches of inputs of some rows of the images."""

    def __init__(
        self, images: Any, model: nn.Module | VisionModel, preprocess: Callable[[Image], Tensor] | None, size: int
    ) -> None:
        ready = isinstance(images, Tensor) and images.is_floating_point()
        self.images: Any = images if ready else as_images(images)
        self.model, self.preprocess, self.size = model, preprocess, size

    def batches(self, rows: Int[Tensor, " images"]) -> Iterator[Tensor]:
        """Yield the batches of some rows, in their order."""
        return self.of(rows).batches(whole(len(rows)))

    def of(self, rows: Int[Tensor, " images"], workers: int | None = None) -> Source:
        """Return the inputs of some rows."""
        return open_source(self.only(rows), self.model, self.preprocess, self.size, workers)

    def only(self, rows: Int[Tensor, " images"]) -> Images | Tensor:
        """Return the images of some rows."""
        return self.images[rows] if isinstance(self.images, Tensor) else ImageSubset(self.images, rows.tolist())

    def check_same(self, recorded: ActivationMatrix) -> None:
        """Raise ``DifferentImagesError`` unless these are the images of the matrix."""
        if isinstance(self.images, Tensor):
            fingerprint = open_source(self.images, self.model, None, self.size, None).fingerprint
        else:
            fingerprint = self.images.fingerprint
        check_same_images(recorded.images, fingerprint, recorded.n_images, len(self.images))


@dataclass(frozen=True, eq=False)
class Source:
    """The inputs of chosen rows, batch by batch, with what is needed to name one in a message and to store results."""

    n_images: int
    batch_size: int
    fingerprint: str
    name: Callable[[int], str]
    batches: Callable[[Parts], Iterator[Any]]
    """The batches of some rows, in order; each part but the one at the end of all images is whole batches."""
    content: Callable[[], dict[str, Any]]
    """What is in the images and how they become inputs, for the key of a store; reads all of them."""


def open_source(
    images: Any,
    model: nn.Module | VisionModel,
    preprocess: Callable[[Image], Tensor] | None,
    batch_size: int,
    workers: int | None,
) -> Source:
    """Turn whatever ``record_layers`` takes as images into batches of inputs for the model."""
    if isinstance(images, Tensor) and images.is_floating_point():
        if preprocess is not None:
            raise ValueError(
                f"The images are a tensor of {images.dtype}, which goes into the model as it is, and preprocess= is "
                "given too. Apply it first and leave preprocess out; or give pictures, as uint8 or as a NumPy array of "
                "floats from 0 to 1."
            )
        return _open_tensor(images.detach(), batch_size)
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

    def batches(parts: Parts) -> Iterator[Tensor]:
        return decoded_batches(collection, preprocess, batch_size=batch_size, workers=workers, parts=parts)

    def content() -> dict[str, Any]:
        how = content_of(preprocess, "preprocess")  # first: it takes no time and may be refused
        return {"preprocess": how, "images": content_fingerprint(collection)}

    return Source(len(collection), batch_size, collection.fingerprint, collection.name, batches, content)


def _open_tensor(inputs: Tensor, batch_size: int) -> Source:
    _check_not_empty(len(inputs) if inputs.ndim else 0)
    fingerprint = _fingerprint(inputs)

    def batches(parts: Parts) -> Iterator[Tensor]:
        for rows in parts.batches(batch_size):
            yield inputs[rows.start : rows.stop]

    def content() -> dict[str, Any]:
        return {"preprocess": None, "images": f"{inputs.dtype} {fingerprint}"}

    return Source(len(inputs), batch_size, fingerprint, "image {}".format, batches, content)


def _fingerprint(inputs: Tensor) -> str:
    digest = hashlib.sha256(repr(tuple(inputs.shape)).encode())
    for one in inputs.detach():  # one by one, so that no copy of them all is made
        digest.update(one.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_not_empty(n_images: int) -> None:
    if n_images == 0:
        raise ValueError("There are 0 images. Give at least one; the first axis of a tensor is the images.")
