"""k-means of numbers on a line, exactly: by dynamic programming, without a seed and without starts."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.compiled import compiled, share_neurons

Array = NDArray[np.float64]
Ints = NDArray[np.int32]


def cluster_lines(values: Float[Tensor, "rows neurons"], n_clusters: int, *, drop_zeros: bool = False) -> Array:
    """Divide the values of each neuron into clusters with the least sum of squared distances to their means.

    Parameters
    ----------
    values
        Activations.
    n_clusters
        How many clusters, at most one for each different value.
    drop_zeros
        Whether zeros are left out where no value is below 0.

    Returns
    -------
    Array
        Smallest and largest value of each cluster [neurons, clusters, 2], the lowest cluster first; NaN where there
        are fewer.

    References
    ----------
    Wang & Song (2011), "Ckmeans.1d.dp"; Grønlund et al. (2017), "Fast exact k-means, k-medians and Bregman divergence
    clustering in 1D".
    """
    n_neurons = values.shape[1]
    ranges = np.full((n_neurons, n_clusters, 2), math.nan)

    def work(start: int, end: int) -> None:
        for neuron in range(start, end):
            line = values[:, neuron].numpy().astype(np.float64)
            if drop_zeros and line.min() >= 0:
                line = line[line > 0]
            # Equal values are one with a weight: never divided, and far fewer where activations are of half precision.
            points, weights = np.unique(line, return_counts=True)
            if len(points):
                _fill(
                    points, starts_of(points, weights.astype(np.float64), min(n_clusters, len(points))), ranges[neuron]
                )

    share_neurons(n_neurons, work)
    return ranges


def _fill(points: Array, starts: Ints, ranges: Array) -> None:
    ends = [*starts[1:].tolist(), len(points)]
    for cluster, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        ranges[cluster] = points[start], points[end - 1]


@compiled
def starts_of(points: Array, weights: Array, n_clusters: int) -> Ints:
    """Return where each cluster of ascending points begins.

    With one cluster more, the best start of the last one never moves down as points are added, which halves the search
    again and again: a number of steps proportional to clusters × points × log points.
    """
    n_points = len(points)
    sums = _sums(points, weights)
    best = np.empty(n_points)
    start = np.zeros((n_clusters, n_points), np.int32)
    for last in range(n_points):
        best[last] = _cost(sums, 0, last)
    before = best.copy()
    # Ranges of last points yet to be done, and of starts that they may have.
    stack = np.empty((64, 4), np.int32)
    for cluster in range(1, n_clusters):
        before[:] = best
        n_open = 1
        stack[0] = np.array([cluster, n_points - 1, cluster, n_points - 1], np.int32)
        while n_open:
            n_open -= 1
            low, high, first, final = stack[n_open]
            middle = (low + high) // 2
            least, place = np.inf, first
            for candidate in range(first, min(middle, final) + 1):
                cost = before[candidate - 1] + _cost(sums, candidate, middle)
                if cost < least:
                    least, place = cost, candidate
            best[middle], start[cluster, middle] = least, place
            if low < middle:
                stack[n_open] = np.array([low, middle - 1, first, place], np.int32)
                n_open += 1
            if middle < high:
                stack[n_open] = np.array([middle + 1, high, place, final], np.int32)
                n_open += 1
    starts = np.zeros(n_clusters, np.int32)
    last = n_points - 1
    for cluster in range(n_clusters - 1, 0, -1):
        starts[cluster] = start[cluster, last]
        last = starts[cluster] - 1
    return starts


@compiled
def _sums(points: Array, weights: Array) -> Array:
    """Return the sums of weights, values and squares before each point; values less their mean, for the digits."""
    mean = (points * weights).sum() / weights.sum()
    sums = np.zeros((3, len(points) + 1))
    for place in range(len(points)):
        value = points[place] - mean
        sums[0, place + 1] = sums[0, place] + weights[place]
        sums[1, place + 1] = sums[1, place] + weights[place] * value
        sums[2, place + 1] = sums[2, place] + weights[place] * value * value
    return sums


@compiled
def _cost(sums: Array, first: int, last: int) -> float:
    """Return the sum of squared distances of some points to their mean."""
    total = sums[1, last + 1] - sums[1, first]
    squares = sums[2, last + 1] - sums[2, first]
    return max(squares - total * total / (sums[0, last + 1] - sums[0, first]), 0.0)
