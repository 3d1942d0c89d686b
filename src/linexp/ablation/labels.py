"""Labels that fit a classifier: the class of each image as a position in its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from linexp._internal.checks import listing
from linexp.concepts.vocabulary import IMAGENET, imagenet_classes, read_class_names
from linexp.images import Images


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


def check_classes(labels: Any, classes: Int[Tensor, " images"], images: Images | Tensor, n_classes: int) -> None:
    """Raise if the classes, or images' own labels that they are taken from, cannot be positions in the output."""
    if labels is None and not isinstance(images, Tensor) and len(images.label_names) not in (0, n_classes):
        raise ValueError(
            f"The images have {len(images.label_names)} classes and the model has {n_classes} outputs. "
            "Pass labels=, the position of each image's class in the model's output (on the command line: --outputs); "
            "images of classes that the model does not tell apart cannot be used for this."
        )
    outside = classes[(classes < 0) | (classes >= n_classes)]
    if len(outside):
        raise ValueError(
            f"An image has the label {int(outside[0])}, but the model has {n_classes} outputs (0 to {n_classes - 1}). "
            "Pass labels= that are positions in the model's output."
        )


def find_outputs(outputs: str | None, images: Images) -> list[int] | None:
    """Return which output of the model each image's class is; ``None``: its position among the classes.

    Parameters
    ----------
    outputs
        A file of lines "sub-folder, tab, number from 0"; "imagenet" where sub-folders are called by wnids.
    images
        The pictures.

    Raises
    ------
    ValueError
        The pictures are in no sub-folders, a class is missing in the file, or something there is no number.
    """
    if outputs is None:
        return None
    if images.labels is None:
        raise ValueError(
            f"The pictures are in no sub-folders, so {outputs} cannot say which output the class of one is. "
            "Put the pictures of each class into a sub-folder."
        )
    if outputs == IMAGENET:
        place = {one.wnid: number for number, one in enumerate(imagenet_classes())}
    else:
        numbers = read_class_names(Path(outputs))
        wrong = [text for text in numbers.values() if not text.isdecimal()]
        if wrong:
            raise ValueError(f"'{wrong[0]}' in '{Path(outputs)}' is no number of an output. Number the outputs from 0.")
        place = {name: int(text) for name, text in numbers.items()}
    names = images.label_names
    missing = [name for name in names if name not in place]
    if missing:
        raise ValueError(
            f"{outputs} does not say which output the class '{listing(missing, 1)}' is. "
            "Give a line for each sub-folder: its name, a tab, the output's number from 0."
        )
    return [place[names[label]] for label in images.labels]
