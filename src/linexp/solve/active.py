"""Which rows count as active of each neuron: the highest, or those of a range; as bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from linexp.solve.bits import Words, pack_columns

Array = NDArray[np.float64]
# Neurons whose values are held in float64 at a time.
_STRIP = 128


def highest_cuts(values: Float[Tensor, "rows neurons"], quantile: float) -> Array:
    """Return the quantile of each neuron's values, linear between two of them.

    In float64, so that a cut between two float32 values lies between them and not on one.
    """
    strips = (np.quantile(strip, quantile, axis=0) for strip in _strips(values))
    return np.concatenate([np.empty(0), *strips])


def ranges_above(cuts: Array) -> Array:
    """Return one range for each neuron, with ends that lie outside it: from its cut on [neurons, 1, 2]."""
    return np.stack([cuts, np.full(len(cuts), np.inf)], 1)[:, None]


def rows_within(values: Float[Tensor, "rows neurons"], ranges: Array, *, strict: bool = False) -> Words:
    """Return the rows in which each neuron lies in each of its ranges, packed [neurons, ranges, words].

    Parameters
    ----------
    values
        Activations.
    ranges
        Lowest and highest value of each range [neurons, ranges, 2]; NaN: there is none, and no row lies in it.
    strict
        Whether the ends lie outside.
    """
    n_ranges = ranges.shape[1]
    found: list[Words] = []
    for number, strip in enumerate(_strips(values)):
        low, high = np.moveaxis(ranges[number * _STRIP : (number + 1) * _STRIP], 2, 0)
        line = strip[:, :, None]
        inside = (line > low) & (line < high) if strict else (line >= low) & (line <= high)
        packed = pack_columns([torch.from_numpy(inside.reshape(len(strip), -1))])
        found.append(packed.reshape(strip.shape[1], n_ranges, -1))
    return np.concatenate(found)


def _strips(values: Float[Tensor, "rows neurons"]) -> Iterator[Array]:
    for start in range(0, values.shape[1], _STRIP):
        yield values[:, start : start + _STRIP].numpy().astype(np.float64)
