"""Boxes as coarse masks: where an object is, from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linexp.concepts.pixels.base import Layer, stack, stem_of
from linexp.images import Images, size_of


@dataclass(frozen=True, eq=False)
class Boxes:
    """A file with lines of picture, concept, left, top, right, bottom (pixels of the picture; tabs or commas).

    Parameters
    ----------
    path
        The file. A first line whose left is no number is a heading.
    called
        What concepts are called that the file has as identifiers; default: as they are.
    """

    path: Path
    called: Mapping[str, str] | None = None

    @cached_property
    def _boxes(self) -> dict[str, list[tuple[str, list[float]]]]:
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file '{self.path}'. Give one with lines of picture, concept, box.")
        text = self.path.read_text(encoding="utf-8")
        found: dict[str, list[tuple[str, list[float]]]] = {}
        for number, line in enumerate(csv.reader(text.splitlines(), delimiter="\t" if "\t" in text else ",")):
            try:
                picture, concept, *box = line
                left, top, right, bottom = map(float, box)
            except ValueError:
                if number == 0:
                    continue
                raise ValueError(
                    f"Line {number + 1} of '{self.path}' is {line}. Write picture, concept, left, top, right, bottom."
                ) from None
            found.setdefault(Path(picture).stem, []).append((self._called(concept), [left, top, right, bottom]))
        return found

    def _called(self, concept: str) -> str:
        return (self.called or {}).get(concept, concept)

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(sorted({name for boxes in self._boxes.values() for name, _ in boxes}))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self._names)}

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """None are known."""
        return {}

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` if an image has no line: that an object is nowhere must be said."""
        for row in range(len(images)):
            if stem_of(images, row) not in self._boxes:
                raise ValueError(f"'{self.path}' has no box for the image '{images.name(row)}'. Give it one.")

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the layers of a picture; see ``Masks.layers``."""
        width, height = size_of(images, row)
        pieces = (
            (self._numbers[name], _inside(box, width, height))
            for name, box in self._boxes.get(stem_of(images, row), [])
        )
        return stack(pieces, (height, width))


def _inside(box: Sequence[float], width: int, height: int) -> NDArray[np.bool_]:
    """Return the mask of the pixels from left to right and top to bottom, both included."""
    left, top, right, bottom = box
    across, down = np.arange(width), np.arange(height)
    return ((down >= top) & (down <= bottom))[:, None] & ((across >= left) & (across <= right))
