"""One layer as a page gets it: its neurons' activations, ranges and pictures; what every method shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from linexp.figures import N_RANGES, Ranges, choose_pictures, even_ranges
from linexp.matrix import Regions
from linexp.report.packing import as_base64, quantise, short
from linexp.report.places import pack_places, top_images
from linexp.results import Result

# Bytes that the points of all scatter plots of a page may take, and how many one plot has at least and at most.
_POINT_BYTES, _FEWEST, _MOST = 700_000, 40, 400


@dataclass(frozen=True, eq=False)
class LayerView:
    """What the pages of one layer need, computed once for all its methods.

    Parameters
    ----------
    neurons
        Neurons that some method explains, in the order recorded.
    activations
        Their activations [images, neurons].
    ranges
        Eight even ranges of each neuron's activation.
    chosen
        Rows of pictures [neurons, ranges, pictures], highest range first; −1 where there are fewer.
    points
        Rows of test images that scatter plots show.
    regions
        The regions that the rows are; ``None``: they are images.
    top
        Test images with each neuron's highest regions [neurons, top], highest first; none where rows are images.
    """

    neurons: tuple[int, ...]
    activations: Float[np.ndarray, "images neurons"]
    ranges: tuple[Ranges, ...]
    chosen: Int[np.ndarray, "neurons ranges pictures"]
    points: Int[np.ndarray, " points"]
    regions: Regions | None
    top: Int[np.ndarray, "neurons top"]

    @property
    def images(self) -> list[int]:
        """Every image that some neuron shows, ascending."""
        shown = self.image_of(self.chosen[self.chosen >= 0])
        return [int(image) for image in np.unique(np.concatenate([shown, self.top.reshape(-1)]))]

    def image_of(self, rows: Int[np.ndarray, " ..."]) -> Int[np.ndarray, " ..."]:
        """Return the image of each row."""
        return rows if self.regions is None else rows // self.regions.n_cells


def n_points(layers: Sequence[Sequence[Result]]) -> int:
    """Return how many points a scatter plot may have so that the page stays small."""
    columns = sum((len(layer) + 1) * max(len(finding.explanations) for finding in layer) for layer in layers)
    return max(_FEWEST, min(_MOST, _POINT_BYTES // max(columns, 1)))


def view_layer(findings: Sequence[Result], n_pictures: int, points: int, seed: int) -> LayerView:
    """Choose what is shown of one layer; the same seed chooses the same."""
    first = findings[0]
    explained = {neuron for finding in findings for neuron in finding.explanations.neurons}
    neurons = tuple(neuron for neuron in first.activations.neurons if neuron in explained)
    values = first.activations.select(neurons).values.numpy()
    test = first.split.test.numpy()
    is_test = np.zeros(len(values), dtype=bool)
    is_test[test] = True
    ranges = tuple(even_ranges(column) for column in values.T)
    chosen = np.full((len(neurons), N_RANGES, n_pictures), -1)
    for place, (neuron, own) in enumerate(zip(neurons, ranges, strict=True)):
        lots = (seed, abs(neuron), int(neuron < 0))
        for part, rows in enumerate(choose_pictures(values[:, place], own, n_pictures, lots, is_test)):
            chosen[place, part, : len(rows)] = rows
    sample = np.sort(np.random.default_rng(seed).permutation(test)[:points])
    regions = first.activations.regions
    tested = test if regions is None else np.unique(test // regions.n_cells)
    return LayerView(neurons, values, ranges, chosen, sample, regions, top_images(values, regions, tested))


def pack_layer(findings: Sequence[Result], view: LayerView, pictures: Sequence[int]) -> dict[str, Any]:
    """Return what all methods share in plain values; ``pictures`` are the page's numbers of the view's images."""
    run = findings[0]
    low, high = view.activations.min(0).astype(np.float64), view.activations.max(0).astype(np.float64)
    counts, below = _count(view)
    number = np.full(run.n_pictures, -1)
    number[view.images] = np.arange(len(view.images))
    bits = 16 if len(view.images) < 65535 else 32  # all bits set: no picture
    return {
        "name": run.activations.layer,
        "nImages": run.activations.n_images,
        "nTest": len(run.split.test),
        "nPictures": view.chosen.shape[2],
        "nPoints": len(view.points),
        "neurons": list(view.neurons),
        "pictures": list(pictures),
        "dead": run.activations.select(view.neurons).is_dead.nonzero()[:, 0].tolist(),
        "fitted": _fitted(view, findings[0]),
        "low": [short(value, 6) for value in low],
        "high": [short(value, 6) for value in high],
        "counts": as_base64(counts, 32),
        "below": below,
        "shownBits": bits,
        "shown": as_base64(np.where(view.chosen >= 0, number[view.image_of(view.chosen)], 2**bits - 1), bits),
        "values": quantise(picked(view, view.activations), low, high, 16),
        "points": quantise(view.activations[view.points].T, low, high, 8),
        **pack_places(run, view, number, bits),
    }


def picked(view: LayerView, values: Float[np.ndarray, "images neurons"]) -> Float[np.ndarray, "neurons n"]:
    """Return each neuron's values on the pictures it shows; where it shows none, any."""
    rows = view.chosen.reshape(len(view.neurons), -1)
    return values.T[np.arange(len(rows))[:, None], rows]


def _count(view: LayerView) -> tuple[Int[np.ndarray, "neurons ranges"], list[int]]:
    """Return how many images are in each range of each neuron, lowest range first, and how many are below all."""
    places = [own.places(column) for own, column in zip(view.ranges, view.activations.T, strict=True)]
    counts = np.stack([np.bincount(place[place >= 0], minlength=N_RANGES) for place in places])
    return counts, [int((place < 0).sum()) for place in places]


def _fitted(view: LayerView, finding: Result) -> list[int]:
    """Return the places of the pictures that took part in fitting or choosing."""
    test = set(view.image_of(finding.split.test.numpy()).tolist())
    return [place for place, image in enumerate(view.images) if image not in test]
