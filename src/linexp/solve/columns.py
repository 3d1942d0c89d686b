"""The extremes of columns: which vary at all, and which are ever high."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._checks import check_at_least
from linexp.solve._threads import share

# Columns one thread looks at a time: few enough for a block of them to stay in the cache.
_STRIP = 128


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
    found: tuple[Tensor, Tensor] | None = None
    n_rows = 0
    for block in blocks:
        if found is None:
            found = block[0].clone(), block.new_full((n_top, block.shape[1]), -torch.inf)
        starts = range(0, block.shape[1], _STRIP)
        share([partial(_measure_strip, block, *found, slice(start, start + _STRIP)) for start in starts], block.device)
        n_rows += len(block)
    if found is None:
        raise ValueError("There are 0 rows to measure. Give at least one image.")
    least, top = found[0], found[1][:n_rows]
    return ColumnRange(least, top.to(torch.float64).mean(0), top[0])


def _measure_strip(block: Tensor, least: Tensor, top: Tensor, strip: slice) -> None:
    """Bring the smallest and the largest values, largest first, of some columns up to date."""
    values, top = block[:, strip], top[:, strip]
    least[strip] = torch.minimum(least[strip], values.amin(0))
    # Later blocks seldom reach into the top, and looking at their largest values costs a tenth of sorting them. NaN
    # is not less than anything, and so is not overlooked.
    better = ~(values.amax(0) <= top[-1])
    if bool(better.any()):
        seen = torch.cat([top[:, better], values[:, better]])
        top[:, better] = seen.topk(len(top), dim=0).values
