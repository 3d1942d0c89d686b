"""COCO's annotations: polygons, run-length codes, and panoptic PNGs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linexp._internal.checks import closest
from linexp.concepts.pixels.base import Layer, stack, stem_of
from linexp.images import Images, size_of
from linexp.models import needs


@dataclass(frozen=True, eq=False)
class CocoMasks:
    """An annotation file of COCO: instances (polygons or run-length codes) or panoptic segments.

    Parameters
    ----------
    path
        The JSON file. Supercategories become categories.
    panoptic
        Folder of the panoptic PNGs; needed where the annotations are panoptic.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no annotation file of COCO.
    """

    path: Path
    panoptic: Path | None = None

    @cached_property
    def _told(self) -> dict[str, Any]:
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no file '{self.path}'. Give an annotation file of COCO.")
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            return {key: told[key] for key in ("images", "annotations", "categories")}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"'{self.path}' is no annotation file of COCO ({error}). It has images, annotations and categories."
            ) from error

    @cached_property
    def _called(self) -> dict[int, str]:
        return {one["id"]: one["name"] for one in self._told["categories"]}

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """The number of the concept of each category's id."""
        place = {name: number for number, name in enumerate(self._names)}
        return {one: place[name] for one, name in self._called.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._called.values()))

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """Supercategory → its categories."""
        return self._categories

    @cached_property
    def _categories(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for one in self._told["categories"]:
            if one.get("supercategory"):
                found.setdefault(one["supercategory"], []).append(one["name"])
        return found

    @cached_property
    def _by_file(self) -> dict[str, list[dict[str, Any]]]:
        stems = {one["id"]: Path(one["file_name"]).stem for one in self._told["images"]}
        found: dict[str, list[dict[str, Any]]] = {stem: [] for stem in stems.values()}
        for one in self._told["annotations"]:
            found[stems[one["image_id"]]].append(one)
        return found

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` if an image is not in the file, ``ImportError`` without pycocotools."""
        _codes()
        for row in range(len(images)):
            stem = stem_of(images, row)
            if stem not in self._by_file:
                raise ValueError(
                    f"'{self.path}' has no image '{stem}'.{closest(stem, list(self._by_file)[:10_000])} "
                    "Give the annotations of these images."
                )

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the layers of a picture; see ``Masks.layers``."""
        width, height = size_of(images, row)
        pieces = [
            (self._numbers[number], mask)
            for one in self._by_file[stem_of(images, row)]
            for number, mask in self._masks(one, height, width)
        ]
        for _, mask in pieces:
            if mask.shape != (height, width):
                raise ValueError(
                    f"A mask of the image '{images.name(row)}' has {mask.shape[1]} x {mask.shape[0]} pixels and the "
                    f"image {width} x {height}. Give the annotations of these images."
                )
        return stack(pieces, (height, width))

    def _masks(self, one: dict[str, Any], height: int, width: int) -> list[tuple[int, NDArray[np.bool_]]]:
        """Return the categories and masks of one annotation."""
        if "segments_info" in one:
            if self.panoptic is None:
                raise ValueError(f"'{self.path}' is panoptic. Give the folder of its PNG files too (panoptic=).")
            with Image.open(self.panoptic / one["file_name"]) as picture:
                colours = np.asarray(picture.convert("RGB")).astype(np.int64)
            numbers = colours @ np.array([1, 256, 65_536])
            return [(segment["category_id"], numbers == segment["id"]) for segment in one["segments_info"]]
        mask, coded = _codes(), one["segmentation"]
        if isinstance(coded, list):
            coded = mask.merge(mask.frPyObjects(coded, height, width))
        elif isinstance(coded["counts"], list):
            coded = mask.frPyObjects(coded, height, width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's, of how pycocotools hands over an array
            return [(one["category_id"], np.asarray(mask.decode(coded), dtype=bool))]


def _codes() -> Any:
    with needs("pycocotools", "coco", "COCO's run-length codes"):
        from pycocotools import mask  # pyright: ignore[reportMissingImports]
    return mask
