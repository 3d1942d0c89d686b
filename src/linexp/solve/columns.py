"""The extremes of columns: which vary at all, and which are ever high."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp._internal.compiled import Array, compiled
from linexp._internal.threads import share

# Columns one thread looks at a time.
_STRIP = 512


@dataclass(frozen=True, eq=False)
class ColumnRange:
    """The extremes of each column over some rows, exact.

    Parameters
    ----------
    least
        Smallest value of each column.
    top_mean
        Mean of the k largest values of each column (of all values, if there are fewer).
    most
        Largest value of each column.
    """

    least: Float[Tensor, " columns"]
    top_mean: Float[Tensor, " columns"]
    most: Float[Tensor, " columns"]

    @property
    def is_constant(self) -> Bool[Tensor, " columns"]:
        """Whether a column has one value only."""
        return self.least == self.most


def measure_columns(blocks: Iterable[Float[Tensor, "rows columns"]], n_top: int = 5) -> ColumnRange:
    """Find the smallest, the largest, and the mean of the ``n_top`` largest values of each column.

    Raises
    ------
    ValueError
        There is no row, or ``n_top`` is below 1.
    """
    check_at_least("n_top", n_top, 1)
    least, top = np.empty(0), np.empty((0, 0))
    n_rows = 0
    for block in blocks:
        values = np.ascontiguousarray(block.cpu().to(torch.promote_types(block.dtype, torch.float32)).numpy())
        if n_rows == 0:
            least = np.full(values.shape[1], np.inf, values.dtype)
            top = np.full((n_top, values.shape[1]), -np.inf, values.dtype)
        n_rows += len(values)
        strips = [slice(start, start + _STRIP) for start in range(0, len(least), _STRIP)]
        share([partial(_scan, values[:, strip], least[strip], top[:, strip]) for strip in strips], torch.device("cpu"))
    if n_rows == 0:
        raise ValueError("There are 0 rows to measure. Give at least one image.")
    found = torch.from_numpy(top[:n_rows])
    return ColumnRange(torch.from_numpy(least), found.to(torch.float64).mean(0), found[0])


@compiled
def _scan(values: Array, least: Array, top: Array) -> None:
    """Bring the smallest and the largest values, the largest first, of some columns up to date; NaN is the largest."""
    last = len(top) - 1
    for row in range(len(values)):
        for column in range(len(least)):
            value = values[row, column]
            if not value >= least[column]:
                least[column] = value
            if not value <= top[last, column]:
                place = last
                while place > 0 and not value <= top[place - 1, column]:
                    top[place, column] = top[place - 1, column]
                    place -= 1
                top[place, column] = value
