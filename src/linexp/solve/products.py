"""Products of two tall matrices in float64, whose bytes depend on nobody but the two columns."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.threads import share
from linexp.solve.moments import recut

# Neurons multiplied at a time: always so many, with zeros if need be, because a product of another shape may round
# otherwise, and what a neuron gets must not depend on how many others there are.
_NEURONS_MULTIPLIED = 128
# Rows multiplied at a time, however they arrive: a few MB of float64 for thousands of columns.
_ROWS_MULTIPLIED = 256


def multiply(left: Float[Tensor, "neurons inner"], right: Float[Tensor, "inner columns"]) -> Tensor:
    """Return the product [neurons, columns] in float64."""
    product = torch.zeros(len(left), right.shape[1], dtype=torch.float64)
    add_product(left.to(torch.float64).T, right.to(torch.float64), product)
    return product


def accumulate_product(
    blocks: Iterable[tuple[Float[Tensor, "rows columns"], Float[Tensor, "rows neurons"]]],
) -> Float[Tensor, "neurons columns"]:
    """Return the sum over all rows of the products of a neuron and a column; how they are cut changes nothing.

    Raises
    ------
    ValueError
        There is no row at all.
    """
    total: Tensor | None = None
    for columns, neurons in recut(blocks, _ROWS_MULTIPLIED):
        if total is None:
            total = torch.zeros(neurons.shape[1], columns.shape[1], dtype=torch.float64)
        add_product(neurons.to(torch.float64), columns.to(torch.float64), total)
    if total is None:
        raise ValueError("There are 0 rows to multiply. Give at least one image.")
    return total


def add_product(
    neurons: Float[Tensor, "rows neurons"],
    columns: Float[Tensor, "rows columns"],
    total: Float[Tensor, "neurons columns"],
) -> None:
    """Add neuronsᵀ·columns, all float64, in place."""
    starts = range(0, len(total), _NEURONS_MULTIPLIED)
    share([partial(_add_strip, neurons, columns, total, start) for start in starts], torch.device("cpu"))


def _add_strip(neurons: Tensor, columns: Tensor, total: Tensor, start: int) -> None:
    strip = neurons[:, start : start + _NEURONS_MULTIPLIED]
    padded = torch.zeros(_NEURONS_MULTIPLIED, len(neurons), dtype=torch.float64)
    padded[: strip.shape[1]] = strip.T
    total[start : start + _NEURONS_MULTIPLIED] += (padded @ columns)[: strip.shape[1]]
