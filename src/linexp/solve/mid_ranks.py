"""Ranks in which equal values share their mean, and the test of Mann and Whitney that is made of them."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.compiled import compiled, share_neurons

Array = NDArray[np.float64]


@compiled
def doubled_ranks(values: Array, ranks: NDArray[np.int64]) -> float:
    """Write twice the rank of each value, the lowest being 1, equal ones sharing their mean: a whole number.

    Returns Σ t³ - t over the groups of t equal values.
    """
    order = np.argsort(values, kind="mergesort")
    ties = 0.0
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in range(start, end):
            ranks[order[place]] = start + 1 + end
        size = float(end - start)
        ties += size**3 - size
        start = end
    return ties


def mann_whitney(values: Float[Tensor, "rows neurons"], holds: Bool[Tensor, "rows neurons"]) -> tuple[Array, Array]:
    """Return the AUROC of each neuron for the rows of its own column, and the p-value of a test against 1/2.

    The test is two-sided, by the normal approximation with the corrections for ties and for continuity. Where a column
    holds in no row, or in all, both are NaN; where a neuron does not vary they are 1/2 and 1.

    References
    ----------
    Mann & Whitney (1947), "On a test of whether one of two random variables is stochastically larger than the other".
    """
    n_rows, n_neurons = values.shape
    areas, p_values = np.full(n_neurons, math.nan), np.full(n_neurons, math.nan)
    columns, inside = values.numpy().astype(np.float64).T, holds.numpy().T

    def work(start: int, end: int) -> None:
        ranks = np.empty(n_rows, np.int64)
        for neuron in range(start, end):
            ties = doubled_ranks(np.ascontiguousarray(columns[neuron]), ranks)
            count, total = int(inside[neuron].sum()), int(ranks[inside[neuron]].sum())
            if 0 < count < n_rows:
                areas[neuron], p_values[neuron] = _test(n_rows, count, total, ties)

    share_neurons(n_neurons, work)
    return areas, p_values


def _test(n_rows: int, count: int, total: int, ties: float) -> tuple[float, float]:
    """Return area and p-value of ``count`` of the rows whose doubled ranks have the sum ``total``."""
    pairs = count * (n_rows - count)
    above = (total - count * (n_rows + 1)) / 2  # pairs won beyond half of them
    variance = pairs / 12 * (n_rows + 1 - ties / (n_rows * (n_rows - 1)))
    p_value = 1.0
    if variance > 0:
        p_value = min(1.0, math.erfc((abs(above) - 0.5) / math.sqrt(2 * variance)))
    return 0.5 + above / pairs, p_value
