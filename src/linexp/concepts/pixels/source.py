"""From masks to shares: how much of each region, or each image, shows each concept."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexp._internal.checks import check_same_images, check_whole
from linexp._internal.progress import progress_bar
from linexp.concepts.pixels.base import Layer, Masks
from linexp.concepts.pixels.label_maps import LabelMaps
from linexp.images import Images, as_images
from linexp.matrix import IGNORED, NONE, ActivationMatrix, PixelConceptMatrix, Regions

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PixelConcepts:
    """How much of a region's area shows each concept, by masks.

    Parameters
    ----------
    masks
        A folder of label maps, see ``LabelMaps``; or any ``Masks``, such as ``BinaryMasks``, ``CocoMasks``, ``Boxes``,
        ``BrodenMasks``, ``SegmenterConcepts(…)`` or ``ColourConcepts()``.
    names, ignore
        Of a folder of label maps, as in ``LabelMaps``.
    side
        Pixels across and down of the maps that explainers by pixels use.

    Raises
    ------
    ValueError
        There are names without a folder, or a folder without names.
    """

    masks: Masks | str | Path
    names: Mapping[int, str] | Sequence[str] | str | Path | None = None
    ignore: int | Sequence[int] = 255
    side: int = 112

    def __post_init__(self) -> None:
        check_whole("side", self.side, 1)
        if isinstance(self.masks, (str, Path)) != (self.names is not None):
            raise ValueError("A folder of label maps needs names of its values, and nothing else takes names.")

    @cached_property
    def _source(self) -> Masks:
        if isinstance(self.masks, (str, Path)):
            return LabelMaps(Path(self.masks), self.names or (), self.ignore)
        return self.masks

    def describe(
        self, images: Any, rows: ActivationMatrix | Regions | None = None, *, show_progress: bool = False
    ) -> PixelConceptMatrix:
        """Return the share of each region that shows each concept; of each image, where there are no regions.

        Parameters
        ----------
        images
            The pictures, whatever ``record`` takes.
        rows
            What was recorded of these pictures, or its regions. Default: a row is a whole picture.
        show_progress
            Show masks per second.

        Raises
        ------
        DifferentImagesError
            The rows are of other images.
        ValueError
            A mask does not go with its picture.
        OSError
            A picture or mask cannot be read.

        Warns
        -----
        UserWarning
            Regions show nothing but ignored pixels: every concept counts as absent there.
        """
        pictures = as_images(images)
        regions = rows.regions if isinstance(rows, ActivationMatrix) else rows
        n_images = rows.n_images if isinstance(rows, ActivationMatrix) and regions is None else len(pictures)
        known = rows.images if isinstance(rows, ActivationMatrix) and regions is None else None
        whole = regions or Regions(len(pictures), 1, 1, pictures.fingerprint)
        check_same_images(regions.images if regions else known, pictures.fingerprint, whole.n_images, n_images)
        self._source.check(pictures)
        values, maps, n_blank = self._measure(pictures, whole, show_progress)
        if n_blank:
            warnings.warn(
                f"{n_blank} of {len(values)} regions show nothing but ignored pixels, so every concept counts as "
                "absent there.",
                UserWarning,
                stacklevel=2,
            )
        found = whole.fingerprint if regions else pictures.fingerprint
        return PixelConceptMatrix(values, self._source.names, maps, self._source.categories, found)

    def _measure(self, images: Images, regions: Regions, show: bool) -> tuple[Weights, NDArray[np.int16], int]:
        n_names = len(self._source.names)
        values: Any = np.zeros((regions.n_images, regions.height, regions.width, n_names), np.float32)
        maps: list[NDArray[np.int16]] = []
        n_blank = 0
        with progress_bar("reading masks", regions.n_images, "images", show=show) as advance:
            for row in range(regions.n_images):
                layers = self._source.layers(images, row)
                window = regions.windows[row].tolist() if regions.windows is not None else (0.0, 0.0, 1.0, 1.0)
                down = _edges(regions.height, window[0], window[2], layers[0].shape[0])
                across = _edges(regions.width, window[1], window[3], layers[0].shape[1])
                values[row], blank = _areas(layers, down, across, n_names)
                n_blank += int(blank.sum())
                maps.append(_sample(layers, window, self.side))
                advance(1)
        most = max(map(len, maps))
        padded = [np.pad(one, [(0, most - len(one)), (0, 0), (0, 0)], constant_values=NONE) for one in maps]
        return values.reshape(regions.n_rows, n_names), np.stack(padded), n_blank


def _edges(n_cells: int, start: float, end: float, n_pixels: int) -> Weights:
    """Return where the cells of a stretch of the picture begin and end, in pixels; none lies outside the picture."""
    return np.clip((start + (end - start) * np.arange(n_cells + 1) / n_cells) * n_pixels, 0, n_pixels)


def _areas(layers: Sequence[Layer], down: Weights, across: Weights, n_names: int) -> tuple[Weights, NDArray[np.bool_]]:
    """Return the share of each cell's known area that shows each concept, and which cells have no known area."""

    def area(masks: list[NDArray[np.bool_]]) -> Weights:
        mask = masks[0] if len(masks) == 1 else np.logical_or.reduce(masks)
        sums = mask.cumsum(0, dtype=np.int32)
        return _between(_between(sums, down, 0).cumsum(1), across, 1)

    known = area([layer != IGNORED for layer in layers])
    blank = known <= 1e-9
    shares = np.zeros((*known.shape, n_names))
    for number in {int(one) for layer in layers for one in np.unique(layer) if one >= 0}:
        shares[..., number] = area([layer == number for layer in layers])
    return np.clip(shares / np.where(blank, 1, known)[..., None], 0, 1), blank


def _between(sums: NDArray[Any], edges: Weights, axis: int) -> Weights:
    """Return what lies between edges, given sums from the first pixel on; of a pixel that is cut, its part."""
    sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
    before = np.minimum(edges.astype(np.int64), sums.shape[axis] - 2)
    parts = (edges - before).reshape([-1, 1] if axis == 0 else [1, -1])
    at_edges = sums.take(before, axis) * (1 - parts) + sums.take(before + 1, axis) * parts
    return np.abs(np.diff(at_edges, axis=axis))


def _sample(layers: Sequence[Layer], window: Sequence[float], side: int) -> NDArray[np.int16]:
    """Return what the middles of side × side pixels over a part of the picture show [layers, side, side]."""
    middles = (np.arange(side) + 0.5) / side
    height, width = layers[0].shape
    rows = np.floor((window[0] + (window[2] - window[0]) * middles) * height).astype(np.int64)
    columns = np.floor((window[1] + (window[3] - window[1]) * middles) * width).astype(np.int64)
    outside = ((rows < 0) | (rows >= height))[:, None] | ((columns < 0) | (columns >= width))[None]
    taken = np.stack(layers)[:, np.clip(rows, 0, height - 1)][:, :, np.clip(columns, 0, width - 1)]
    return np.where(outside, np.int16(IGNORED), taken)
