"""Pointwise mutual information of neurons and columns over each neuron's highest rows, weighted or not (WPMI)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.compiled import Array, Indices, compiled, share_neurons

# Rows made into probabilities at a time: a few MB of float64 for thousands of columns.
_ROWS_MADE = 256
# Factors multiplied before the logarithm is taken of their product: of numbers above 1e-8 it cannot underflow.
_FACTORS = 32
# What keeps logarithms finite.
_FLOOR = 1e-7


@dataclass(frozen=True, eq=False)
class Weighting:
    """How much each of a neuron's highest rows counts for its being in the set that a column should explain.

    Parameters
    ----------
    inside
        Probability of each rank, the highest first, to be in the set [n_top]; 1: it is, and the logarithm is that of
        the column's probability itself.
    scale
        What similarities are multiplied by before the softmax over the columns.
    prior
        Weight of a column's mean likelihood over the neurons, which is taken away.
    """

    inside: Array
    scale: float
    prior: float


def measure_information(
    similar: Callable[[Int[Tensor, " rows"]], Float[Tensor, "rows columns"]], top: Indices, weighting: Weighting
) -> Array:
    """Return log L(neuron, column) − prior · log (mean over neurons of L), [neurons, columns].

    log L is the sum, over a neuron's highest rows, of log(1 + p·(softmax − 1)).

    Parameters
    ----------
    similar
        Makes similarities of some rows with all columns; each row is asked for once at most.
    top
        Highest rows of each neuron [neurons, n_top], the highest first.
    weighting
        The settings.
    """
    order = np.argsort(top, axis=1, kind="stable")  # in the order of the rows, so that blocks of them do for all
    rows, inside = np.take_along_axis(top, order, 1), weighting.inside[order]
    logs: Array | None = None
    products, cursors = np.empty((0, 0)), np.zeros(len(top), np.int64)
    for first, probabilities in _probabilities(similar, np.unique(top), weighting.scale):
        if logs is None:
            logs = np.zeros((len(top), probabilities.shape[1]))
            products = np.ones_like(logs)
        share_neurons(len(top), _add, first, probabilities, rows, inside, cursors, products, logs)
    assert logs is not None  # there is a row, or there would be no neuron's highest
    likelihood = torch.from_numpy(logs)
    mean = torch.logsumexp(likelihood, 0) - np.log(len(logs))
    return (likelihood - weighting.prior * mean).numpy()


def _probabilities(similar: Callable[[Tensor], Tensor], rows: Indices, scale: float) -> Iterator[tuple[Indices, Array]]:
    """Yield some rows, ascending, and the softmax of each over all columns."""
    for start in range(0, len(rows), _ROWS_MADE):
        some = rows[start : start + _ROWS_MADE]
        yield some, torch.softmax(similar(torch.from_numpy(some)).to(torch.float64) * scale, 1).numpy()


@compiled
def _add(
    first: int,
    last: int,
    made: Indices,
    probabilities: Array,
    rows: Indices,
    inside: Array,
    cursors: Indices,
    products: Array,
    logs: Array,
) -> None:
    """Multiply in the factors of the rows that were made; after every few, their logarithm is added."""
    n_top = rows.shape[1]
    for neuron in range(first, last):
        place = 0
        while cursors[neuron] < n_top and rows[neuron, cursors[neuron]] <= made[-1]:
            cursor = cursors[neuron]
            while made[place] < rows[neuron, cursor]:
                place += 1
            share = inside[neuron, cursor]
            product, row = products[neuron], probabilities[place]
            for column in range(len(row)):
                product[column] *= (1 - share + _FLOOR) + share * row[column]
            cursors[neuron] += 1
            if cursors[neuron] % _FACTORS == 0 or cursors[neuron] == n_top:
                for column in range(len(row)):
                    logs[neuron, column] += np.log(product[column])
                    product[column] = 1.0
