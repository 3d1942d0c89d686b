"""What every source of masks gives: for one picture, layers of numbers that say what each pixel shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexp.images import Images
from linexp.matrix import NONE

Layer: TypeAlias = NDArray[np.int16]
"""What each pixel of a picture [height, width] shows: a place among the names, ``NONE`` or ``IGNORED``."""


class Masks(Protocol):
    """Which concept each pixel of a picture shows; in layers, where a pixel may show several."""

    @property
    def names(self) -> Sequence[str]:
        """The concepts, each once."""
        ...

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """Category → its concepts; empty where there are none."""
        ...

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` or ``OSError``, before the long work, unless there is a mask for every image."""
        ...

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the layers of one upright picture, at its own size or any other of the same shape.

        Raises
        ------
        ValueError
            A mask does not go with the picture.
        OSError
            It cannot be read.
        """
        ...


def stem_of(images: Images, row: int) -> str:
    """Return the name of an image's file without folder and ending, by which masks are found."""
    return Path(images.name(row)).stem


def stack(pieces: Iterable[tuple[int, NDArray[np.bool_]]], size: tuple[int, int]) -> list[Layer]:
    """Return as few layers as hold masks that may lie over each other.

    Parameters
    ----------
    pieces
        Number of a concept and its mask [height, width].
    size
        Height and width.
    """
    layers: list[Layer] = [np.full(size, NONE, np.int16)]
    for number, mask in pieces:
        layer = next((one for one in layers if not ((one[mask] != NONE) & (one[mask] != number)).any()), None)
        if layer is None:
            layer = np.full(size, NONE, np.int16)
            layers.append(layer)
        layer[mask] = number
    return layers
