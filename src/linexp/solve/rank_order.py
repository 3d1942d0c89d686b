"""How well a column's order puts a neuron's highest activations in theirs (CLIP-Dissect's rank reorder)."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled, share_neurons


def measure_reordering(values: Array, similar: Array, top: Indices) -> Array:
    """Return −(mean |t − t in the column's order|³ / the same for a random order) / √(mean similarity).

    A neuron's highest activations t are laid out in the order that a column puts their rows in; of rows that are equal
    in a column every order is as likely, and the mean over these is taken. The mean over all orders is the yardstick.

    Parameters
    ----------
    values
        Activations of the highest rows [neurons, n_top], the highest first.
    similar
        Similarities of some columns with all rows [columns, rows], a line a column.
    top
        The highest rows [neurons, n_top].

    Returns
    -------
    Array
        [neurons, columns], at most 0; −∞ where the mean similarity is not above 0, or the activations are all the same.
    """
    found = np.empty((len(top), len(similar)))
    # Unit range, so that third powers neither overflow nor cancel.
    spread = np.maximum(values[:, :1] - values[:, -1:], np.finfo(np.float64).tiny)
    scaled = np.ascontiguousarray(((values - values[:, -1:]) / spread)[:, ::-1])
    share_neurons(len(top), _measure, scaled, similar, np.ascontiguousarray(top[:, ::-1]), found)
    return found


@compiled
def _measure(first: int, last: int, values: Array, similar: Array, top: Indices, found: Array) -> None:
    n_top = top.shape[1]
    for neuron in range(first, last):
        ascending = values[neuron]
        sums = _power_sums(ascending)
        expected = 0.0
        for place in range(n_top):
            expected += _apart(ascending[place], place, 0, n_top, sums)
        expected /= n_top
        near = np.empty(n_top)
        for column in range(len(similar)):
            total = 0.0
            for place in range(n_top):
                near[place] = similar[column, top[neuron, place]]
                total += near[place]
            if not (total > 0.0 and expected > 0.0):
                found[neuron, column] = -np.inf
                continue
            error = 0.0
            order = np.argsort(near)
            start = 0
            while start < n_top:
                end = start + 1
                while end < n_top and near[order[end]] == near[order[start]]:
                    end += 1
                if end == start + 1:
                    error += abs(ascending[order[start]] - ascending[start]) ** 3
                else:
                    part = 0.0
                    for place in range(start, end):
                        part += _apart(ascending[order[place]], order[place], start, end, sums)
                    error += part / (end - start)
                start = end
            found[neuron, column] = -(error / expected) / np.sqrt(total / n_top)


@compiled
def _power_sums(ascending: Array) -> Array:
    """Return the sums of the powers 0 to 3 of the first so many values [values + 1, 4]."""
    sums = np.zeros((len(ascending) + 1, 4))
    for place in range(len(ascending)):
        power = 1.0
        for degree in range(4):
            sums[place + 1, degree] = sums[place, degree] + power
            power *= ascending[place]
    return sums


@compiled
def _apart(value: float, place: int, start: int, end: int, sums: Array) -> float:
    """Return the sum of |value − other|³ over the others in order from ``start`` to ``end``; it stands at ``place``."""
    middle = min(max(place, start), end)
    total = 0.0
    for side in range(2):
        low, high = (start, middle) if side == 0 else (middle, end)
        count, once, twice, thrice = (
            sums[high, 0] - sums[low, 0],
            sums[high, 1] - sums[low, 1],
            sums[high, 2] - sums[low, 2],
            sums[high, 3] - sums[low, 3],
        )
        part = count * value**3 - 3 * once * value**2 + 3 * twice * value - thrice
        total += part if side == 0 else -part
    return total
