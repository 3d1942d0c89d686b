"""Broden, the data set of Network Dissection, from the folder that its makers publish."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from linexp.concepts.pixels.base import Layer
from linexp.images import ImageFiles, Images, size_of
from linexp.matrix import NONE

_CATEGORIES = ("color", "object", "part", "material", "scene", "texture")


@dataclass(frozen=True, eq=False)
class BrodenMasks:
    """``index.csv``, ``label.csv`` and the label maps of a folder such as "broden1_224".

    A cell of the index names label maps (a pixel's number is red + 256·green) or numbers that hold for the whole
    picture (scenes, textures). A pixel may have a label of each category and several of one.

    Parameters
    ----------
    folder
        The folder; pictures are in its "images".

    Raises
    ------
    FileNotFoundError
        A file is missing.
    ValueError
        A file has another layout.
    """

    folder: Path

    @cached_property
    def _labels(self) -> dict[int, tuple[str, str]]:
        """Number → name and category, where a label's category is the one in which it covers most."""
        found: dict[int, tuple[str, str]] = {}
        for line in self._read("label.csv", ("number", "name", "category")):
            shares = [part.strip() for part in line["category"].split(";")]
            sizes = {part.split("(")[0]: int(part.split("(")[1].rstrip(")")) for part in shares if "(" in part}
            category = max(sizes, key=lambda name: sizes[name]) if sizes else shares[0]
            found[int(line["number"])] = (line["name"], category)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self._labels.values()))

    @cached_property
    def _numbers(self) -> Layer:
        """The number of the concept of each number in label maps."""
        place = {name: number for number, name in enumerate(self._names)}
        table = np.full(max(self._labels) + 1, NONE, np.int16)
        for number, (name, _) in self._labels.items():
            table[number] = place[name]
        return table

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """Category → its labels."""
        return self._categories

    @cached_property
    def _categories(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for name, category in dict(self._labels.values()).items():
            found.setdefault(category, []).append(name)
        return found

    @cached_property
    def _index(self) -> dict[str, dict[str, str]]:
        return {Path(line["image"]).name: line for line in self._read("index.csv", ("image",))}

    def pictures(self) -> ImageFiles:
        """Return the pictures of the index; label maps lie among them in the folder."""
        return ImageFiles([self.folder / "images" / line["image"] for line in self._index.values()])

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` if an image is not in the index."""
        _ = self._labels
        for row in range(len(images)):
            if Path(images.name(row)).name not in self._index:
                raise ValueError(
                    f"'{self.folder / 'index.csv'}' has no image '{Path(images.name(row)).name}'. Give "
                    "BrodenMasks(folder).pictures()."
                )

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return a layer for each label map; see ``Masks.layers``."""
        line, (width, height) = self._index[Path(images.name(row)).name], size_of(images, row)
        layers: list[Layer] = []
        for entry in (part for category in _CATEGORIES for part in (line.get(category) or "").split(";") if part):
            if entry.isdigit():
                layers.append(np.full((height, width), self._numbers[int(entry)], np.int16))
                continue
            with Image.open(self.folder / "images" / entry) as picture:
                pixels = np.asarray(picture.convert("RGB")).astype(np.int64)
            layers.append(self._numbers[pixels[..., 0] + 256 * pixels[..., 1]])
        return layers

    def _read(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"There is no file '{path}'. Give Broden's folder, with index.csv and label.csv.")
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        missing = [column for column in columns if not lines or column not in lines[0]]
        if missing:
            raise ValueError(f"'{path}' has no column '{missing[0]}'. Give the file that its makers publish.")
        return lines
