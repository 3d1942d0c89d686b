"""Which pixels of enlarged maps count as active, as bits; most of a map is never enlarged."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp.solve.bits import Words

Numbers = NDArray[np.int32]


def number_known(known: NDArray[np.bool_]) -> Numbers:
    """Return the number of each known pixel [images, side, side], counted from 0 on; -1 where nothing is known."""
    numbers = np.cumsum(known.reshape(-1), dtype=np.int32) - 1
    return np.where(known, numbers.reshape(known.shape), -1)


def pixels_within(
    maps: Float[Tensor, "images height width neurons"], ranges: Array, numbers: Numbers, *, strict: bool = False
) -> Words:
    """Return the pixels in which each neuron lies in each of its ranges, packed [neurons, ranges, words].

    Maps are enlarged as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`` does it, in float64.
    Where all corners of a patch lie on one side of a range, so does the patch between them, and it is left out.

    Parameters
    ----------
    maps
        Activations at the positions of a feature map.
    ranges
        Lowest and highest value of each range [neurons, ranges, 2]; NaN: there is none, and no pixel lies in it.
    numbers
        Which bit is which pixel, see ``number_known``.
    strict
        Whether the ends lie outside.
    """
    values = np.ascontiguousarray(maps.permute(3, 0, 1, 2).numpy().astype(np.float64))
    n_words = -(-int(numbers.max() + 1) // 64)
    found = np.zeros((len(values), ranges.shape[1], n_words), np.uint64)
    steps = [_steps(values.shape[axis], numbers.shape[axis - 1]) for axis in (2, 3)]
    share_neurons(len(values), _find, values, ranges, numbers, *steps[0], *steps[1], strict, found)
    return found


def _steps(n_cells: int, n_pixels: int) -> tuple[Indices, Array, Indices]:
    """Return for each pixel the cell before it and how far behind that it lies; and where each cell's pixels begin."""
    places = np.clip((np.arange(n_pixels) + 0.5) * n_cells / n_pixels - 0.5, 0, n_cells - 1)
    cells = places.astype(np.int64)
    starts = np.searchsorted(cells, np.arange(n_cells + 1))
    return cells, places - cells, starts


@compiled
def _find(
    first: int,
    last: int,
    values: Array,
    ranges: Array,
    numbers: Numbers,
    row_cells: Indices,
    row_shares: Array,
    row_starts: Indices,
    column_cells: Indices,
    column_shares: Array,
    column_starts: Indices,
    strict: bool,
    found: Words,
) -> None:
    n_images, height, width = values.shape[1:]
    one = np.uint64(1)
    for neuron in range(first, last):
        for which in range(ranges.shape[1]):
            low, high = ranges[neuron, which, 0], ranges[neuron, which, 1]
            if not low <= high:
                continue
            words = found[neuron, which]
            for image in range(n_images):
                cells = values[neuron, image]
                for top in range(height):
                    below = min(top + 1, height - 1)
                    for left in range(width):
                        right = min(left + 1, width - 1)
                        a, b, c, d = cells[top, left], cells[top, right], cells[below, left], cells[below, right]
                        most, least = max(max(a, b), max(c, d)), min(min(a, b), min(c, d))
                        if most < low or least > high or (strict and (most <= low or least >= high)):
                            continue
                        for row in range(row_starts[top], row_starts[top + 1]):
                            down = row_shares[row]
                            start, end = a + (c - a) * down, b + (d - b) * down
                            for column in range(column_starts[left], column_starts[left + 1]):
                                value = start + (end - start) * column_shares[column]
                                number = numbers[image, row, column]
                                inside = low < value < high if strict else low <= value <= high
                                if inside and number >= 0:
                                    words[number >> 6] |= one << np.uint64(number & 63)
