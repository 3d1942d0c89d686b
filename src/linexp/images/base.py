"""The contract of an image collection, and a part of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image


@runtime_checkable
class Images(Protocol):
    """A sized, indexable collection of pictures; anything with these members is one.

    ``images[i]`` is always upright, RGB and 8 bits per channel.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Image.Image: ...

    def name(self, index: int, /) -> str:
        """Return how messages call one image: its path, or "image 17"."""
        ...

    @property
    def labels(self) -> tuple[int, ...] | None:
        """Class of each image, a position in ``label_names``; ``None`` where the classes are not known."""
        ...

    @property
    def label_names(self) -> tuple[str, ...]:
        """Human name of each class; empty where there are no labels."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 that identifies the images and their order; labels are no part of it."""
        ...


@dataclass(frozen=True, eq=False, init=False)
class ImageSubset:
    """Some images of a collection, in the order asked for. Labels and names follow.

    A subset of a subset is kept as a subset of the whole, and all images in their own order have the fingerprint
    of the whole: the same images have the same fingerprint, however they were chosen.

    Parameters
    ----------
    images
        The collection to choose from.
    rows
        Positions in it, from 0; at least one. A row may be named more than once.

    Raises
    ------
    ValueError
        There is no row, or one lies outside the collection.
    TypeError
        The rows are not whole numbers.

    Examples
    --------
    >>> from linexp.images import ImageArray
    >>> ImageSubset(ImageArray(np.zeros((5, 8, 8))), [4, 0]).name(0)
    'image 4'
    """

    images: Images
    rows: tuple[int, ...]

    def __init__(self, images: Images, rows: Iterable[int]) -> None:
        chosen = _check_rows(rows, len(images))
        if isinstance(images, ImageSubset):
            chosen = tuple(images.rows[row] for row in chosen)
            images = images.images
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "rows", chosen)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Image.Image:
        return self.images[self.rows[index]]

    def __repr__(self) -> str:
        return f"ImageSubset({len(self)} of {self.images!r})"

    def name(self, index: int) -> str:
        """Return what the whole collection calls the image."""
        return self.images.name(self.rows[index])

    def check(self, index: int) -> None:
        """Raise ``OSError`` if the image cannot be read."""
        check_image(self.images, self.rows[index])

    def content(self, index: int) -> bytes:
        """Return what identifies the image, as the whole collection says it."""
        return content_of_image(self.images, self.rows[index])

    @property
    def labels(self) -> tuple[int, ...] | None:
        """Classes of the chosen images, or ``None``."""
        return self._labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of all classes of the whole collection, those without an image in the subset included."""
        return self.images.label_names

    @property
    def fingerprint(self) -> str:
        """Identifier made from that of the whole and the rows; of pictures in files, from their bytes alone."""
        if callable(getattr(self.images, "recall", None)):
            from linexp.images.content import content_fingerprint  # it is made from this file

            return content_fingerprint(self)
        return self._digest

    @cached_property
    def _labels(self) -> tuple[int, ...] | None:
        labels = self.images.labels
        return None if labels is None else tuple(labels[row] for row in self.rows)

    @cached_property
    def _digest(self) -> str:
        return fingerprint_of_rows(self.images.fingerprint, self.rows, len(self.images))


def fingerprint_of_rows(whole: str, rows: Sequence[int], n_images: int) -> str:
    """Return the fingerprint of some rows of a collection of which nothing but its own fingerprint is known.

    All rows in their own order are the whole. Of pictures in files a subset does better: their bytes identify it.
    """
    if tuple(rows) == tuple(range(n_images)):
        return whole
    digest = hashlib.sha256(f"subset {whole} ".encode())
    digest.update(np.asarray(rows, dtype="<i8").tobytes())  # the same bytes on every machine
    return digest.hexdigest()


def check_image(images: Images, index: int) -> None:
    """Raise if one image cannot be read; cheap where the collection has a method ``check(index)`` for it."""
    check = getattr(images, "check", None)
    if callable(check):
        check(index)
    else:
        images[index]


def content_of_image(images: Images, index: int) -> bytes:
    """Return what identifies one image; cheap where the collection has a method ``content(index)`` for it."""
    content = getattr(images, "content", None)
    if callable(content):
        return bytes(content(index))  # pyright: ignore[reportArgumentType]
    picture = images[index]
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).digest()


def check_labels(labels: Any, label_names: Sequence[str], n_images: int) -> tuple[int, ...] | None:
    """Return the labels as a tuple of integers once they fit the images and the names of the classes."""
    if labels is None:
        if len(label_names):
            raise ValueError(f"There are {len(label_names)} label_names but no labels. Give both or neither.")
        return None
    values = _whole_numbers(labels, "labels")
    if len(values) != n_images:
        raise ValueError(f"There are {len(values)} labels for {n_images} images. Give one for each image.")
    if not len(label_names):
        raise ValueError(f"There are {n_images} labels but no label_names. Give the name of each class.")
    outside = np.flatnonzero((values < 0) | (values >= len(label_names)))
    if outside.size:
        row = int(outside[0])
        raise ValueError(
            f"The label of image {row} is {int(values[row])}, but there are {len(label_names)} label_names. "
            f"Labels must lie between 0 and {len(label_names) - 1}."
        )
    return tuple(values.tolist())


def summary(kind: str, n_images: int, label_names: Sequence[str]) -> str:
    """Return the short ``repr`` of a collection: a list of 50,000 paths helps nobody."""
    classes = f", {len(label_names)} classes" if label_names else ""
    return f"{kind}({n_images} images{classes})"


def _check_rows(rows: Iterable[int], n_images: int) -> tuple[int, ...]:
    values = _whole_numbers(rows if hasattr(rows, "__len__") else list(rows), "rows")
    if not values.size:
        raise ValueError(f"No row of the {n_images} images is chosen. Choose at least one.")
    outside = values[(values < 0) | (values >= n_images)]
    if outside.size:
        raise ValueError(
            f"Row {int(outside[0])} is not among the {n_images} images. Rows must lie between 0 and {n_images - 1}."
        )
    return tuple(values.tolist())


def _whole_numbers(values: Any, what: str) -> np.ndarray[Any, np.dtype[Any]]:
    numbers = np.asarray(values)
    if numbers.size == 0:
        return np.zeros(0, dtype=np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":  # a mask of booleans is no list of rows
        raise TypeError(
            f"The {what} are an array of {numbers.dtype} with the shape {list(numbers.shape)}. "
            "Give a list of whole numbers."
        )
    return numbers
