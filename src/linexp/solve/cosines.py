"""Cosines of all neurons with all columns, from sums over the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.solve.moments import recut
from linexp.solve.products import add_product

Pairs = Iterable[tuple[Float[Tensor, "rows columns"], Float[Tensor, "rows neurons"]]]
# Rows summed at a time, however they arrive: a few MB of float64 for thousands of columns.
_ROWS_SUMMED = 256


def measure_cosines(
    blocks: Callable[[], Pairs], *, centre: bool, power: int = 1, least_norm: float = 0.0
) -> Float[Tensor, "neurons columns"]:
    """Return the cosine of each neuron with each column, in float64; NaN where one has the length 0.

    Parameters
    ----------
    blocks
        Makes the rows of columns and neurons, in blocks; called once, or twice to centre.
    centre
        Whether each column is taken less its mean; the cosine is then the correlation.
    power
        What the values are raised to, once centred.
    least_norm
        A column with a shorter length counts as this long.
    """
    means = _means(blocks()) if centre else None
    cross = columns_squared = neurons_squared = torch.zeros(())
    for columns, neurons in recut(_raised(blocks(), means, power), _ROWS_SUMMED):
        if cross.ndim == 0:
            cross = torch.zeros(neurons.shape[1], columns.shape[1], dtype=torch.float64)
        add_product(neurons, columns, cross)
        columns_squared = columns_squared + _sum_rows(columns.square())
        neurons_squared = neurons_squared + _sum_rows(neurons.square())
    lengths = [squares.sqrt().clamp_min(least_norm) for squares in (neurons_squared, columns_squared)]
    return cross / lengths[0][:, None] / lengths[1]


def _means(blocks: Pairs) -> tuple[Tensor, Tensor]:
    n_rows, columns_sum, neurons_sum = 0, torch.zeros(()), torch.zeros(())
    for columns, neurons in recut(_raised(blocks, None, 1), _ROWS_SUMMED):
        n_rows += len(columns)
        columns_sum, neurons_sum = columns_sum + _sum_rows(columns), neurons_sum + _sum_rows(neurons)
    return columns_sum / n_rows, neurons_sum / n_rows


def _raised(blocks: Pairs, means: tuple[Tensor, Tensor] | None, power: int) -> Iterator[tuple[Tensor, Tensor]]:
    for columns, neurons in blocks:
        pair = columns.to(torch.float64), neurons.to(torch.float64)
        if means is not None:
            pair = pair[0] - means[0], pair[1] - means[1]
        yield (pair[0].pow(power), pair[1].pow(power)) if power > 1 else pair


def _sum_rows(values: Tensor) -> Tensor:
    """Sum each column on its own: torch adds neighbouring ones in an order that depends on how many there are."""
    return values.T.contiguous().sum(1)
