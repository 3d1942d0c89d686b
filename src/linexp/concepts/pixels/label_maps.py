"""Label maps: a PNG for each picture, whose grey values are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from linexp._internal.checks import listing
from linexp.concepts.pixels.base import Layer
from linexp.images import Images, size_of
from linexp.matrix import IGNORED, NONE


@dataclass(frozen=True, eq=False)
class LabelMaps:
    """A folder with a PNG of the name of each picture, one value per class.

    Parameters
    ----------
    folder
        The folder. The mask of "dog/7.jpg" is "dog/7.png", or "7.png" where that is the only one.
    names
        Value → name; or the names of 0, 1, 2, …; or a file with lines of value, tab, name. Values without a name are
        refused.
    ignore
        Values that say nothing: what they cover is neither present nor absent.
    none
        Values that show no concept.

    Raises
    ------
    FileNotFoundError
        There is no such folder or file.
    ValueError
        There is no name, or the file of names has another layout.
    """

    folder: Path
    given: Mapping[int, str] | Sequence[str] | str | Path
    ignore: int | Sequence[int] = 255
    none: int | Sequence[int] = ()

    @cached_property
    def by_value(self) -> dict[int, str]:
        """Value → name."""
        given = read_names(Path(self.given)) if isinstance(self.given, (str, Path)) else self.given
        named = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
        if not named:
            raise ValueError("There are no names of the values of the masks. Name each value that a mask may have.")
        silent = {*_values(self.ignore), *_values(self.none)}
        return {value: name for value, name in named.items() if value not in silent}

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts, each once."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.by_value.values()))

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """None are known."""
        return {}

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.folder}'. Give the folder of masks.")
        files: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*.png")):
            files.setdefault(path.stem, []).append(path)
        return files

    @cached_property
    def _numbers(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """The number of the concept of each value; that of a value without a name is -3."""
        table = np.full(65_536, -3, np.int16)
        place = {name: number for number, name in enumerate(self.names)}
        for value, name in self.by_value.items():
            table[value] = place[name]
        table[_values(self.none)] = NONE
        table[_values(self.ignore)] = IGNORED
        return table

    def path_of(self, images: Images, row: int) -> Path:
        """Return the mask of an image; raise ``ValueError`` unless there is just one."""
        picture = Path(images.name(row))
        found = self._files.get(picture.stem, [])
        if len(found) > 1:  # the same name in several folders: the folder decides
            found = [path for path in found if path.parent.name == picture.parent.name]
        if len(found) != 1:
            what = "no mask" if not found else f"{len(found)} masks"
            raise ValueError(
                f"There is {what} of the image '{images.name(row)}' in '{self.folder}'. Give each image one PNG of its "
                f"name, '{picture.stem}.png'."
            )
        return found[0]

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` unless there is a mask for every image."""
        _ = self._numbers
        for row in range(len(images)):
            self.path_of(images, row)

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the one layer of a picture; see ``Masks.layers``."""
        path = self.path_of(images, row)
        values = open_map(path, size_of(images, row), images.name(row))
        layer = self._numbers[values]
        if (layer == -3).any():
            strange = sorted(set(values[layer == -3].tolist()))
            raise ValueError(
                f"The mask '{path}' has the values {listing(strange)}, which have no name. Name them, or count them "
                "among those to ignore."
            )
        return [layer]


def open_map(path: Path, size: tuple[int, int], picture: str) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Return the values of a mask; raise ``ValueError`` unless it has one channel and the picture's size."""
    with Image.open(path) as mask:
        if mask.size != size:
            raise ValueError(
                f"The mask '{path}' has {mask.width} x {mask.height} pixels and the image '{picture}' {size[0]} x "
                f"{size[1]}. Give masks of the size of the images."
            )
        values = np.asarray(mask)
    if values.ndim != 2 or values.dtype.kind not in "iub":
        raise ValueError(
            f"The mask '{path}' has {values.ndim} axes of {values.dtype}, not one whole number per pixel. Save it with "
            "a single channel (grey values or a palette)."
        )
    return values.astype(np.int32)


def read_names(path: Path) -> dict[int, str]:
    """Read lines of value, tab (or comma), name; or names alone, of the values from 0 on."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'. Give one with lines of value, tab, name.")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    pairs = [line.replace(",", "\t", 1).split("\t", 1) for line in lines]
    if all(len(pair) == 2 and pair[0].strip().isdigit() for pair in pairs):
        return {int(value): name.strip() for value, name in pairs}
    if any(pair[0].strip().isdigit() for pair in pairs):
        raise ValueError(f"'{path}' mixes lines with and without a value. Write value, tab, name in each.")
    return dict(enumerate(lines))


def _values(given: int | Sequence[int]) -> list[int]:
    return [given] if isinstance(given, int) else list(given)
