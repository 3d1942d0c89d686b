"""What changing neurons and comparing losses needs beside the layer: a classifier's batches, and labels that fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp._checks import check_same_images
from linexp.images import Images, ImageSubset, as_images
from linexp.matrix import ActivationMatrix
from linexp.models.base import VisionModel
from linexp.recording.source import Source, open_source


def open_module(model: nn.Module | VisionModel) -> tuple[nn.Module, torch.device]:
    """Return the module and where it is.

    Raises
    ------
    TypeError
        It is no PyTorch module.
    """
    module = model.module if isinstance(model, VisionModel) else model
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"The model is a {type(module).__name__}. Give a torch.nn.Module, or what load_model returns.")
    return module, next((part.device for part in [*module.parameters(), *module.buffers()]), torch.device("cpu"))


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
        return self.of(rows).batches([range(len(rows))])

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


def check_labels(labels: Any, images: Images | Tensor, n_images: int) -> Int[Tensor, " images"]:
    """Return the class of each image, from ``labels`` or else from the images themselves.

    Raises
    ------
    ValueError
        There are none, or they are not one whole number for each image.
    """
    if labels is None and not isinstance(images, Tensor):
        labels = images.labels
    if labels is None:
        raise ValueError(
            "The images have no labels, and without them there is no loss to compare. "
            "Pass labels=, the class of each image as a position in the model's output "
            "(on the command line: pictures in a sub-folder for each class)."
        )
    classes = torch.as_tensor(labels)
    if classes.is_floating_point() or classes.ndim != 1 or len(classes) != n_images:
        raise ValueError(
            f"The labels are {classes.dtype} of shape {list(classes.shape)} for {n_images} images. "
            "Give one whole number for each image."
        )
    return classes.to(torch.int64)


def check_classes(labels: Any, images: Images | Tensor, n_classes: int) -> None:
    """Raise if the images' own labels cannot be positions in the output: they are of other classes."""
    if labels is None and not isinstance(images, Tensor) and len(images.label_names) not in (0, n_classes):
        raise ValueError(
            f"The images have {len(images.label_names)} classes and the model has {n_classes} outputs. "
            "Pass labels=, the position of each image's class in the model's output (on the command line: --outputs); "
            "images of classes that the model does not tell apart cannot be used for this."
        )


def check_outside(classes: Int[Tensor, " images"], n_classes: int) -> None:
    """Raise if a label is no position in the output."""
    outside = classes[(classes < 0) | (classes >= n_classes)]
    if len(outside):
        raise ValueError(
            f"An image has the label {int(outside[0])}, but the model has {n_classes} outputs (0 to {n_classes - 1}). "
            "Pass labels= that are positions in the model's output."
        )
