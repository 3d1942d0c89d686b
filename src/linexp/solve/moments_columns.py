"""Columns made ready to be multiplied: shifted near zero, with means and sums of squares in float64."""

from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.threads import share

# Columns shifted at a time: few enough for a chunk of them to stay in the cache.
_STRIP = 512
# Rows that a column's typical value is found from.
_ROWS_SAMPLED = 128


class Columns:
    """Mean and sum of squares of columns over the chunks added so far, and the newest chunk shifted.

    Parameters
    ----------
    chunk
        The first chunk, as an example.
    dtype
        Number format of the products: float64, or else float32.
    multiple
        Columns of zeros fill the shifted chunk up to a multiple of this.
    """

    def __init__(self, chunk: Float[Tensor, "rows columns"], dtype: torch.dtype, multiple: int = 1) -> None:
        n_rows, n_columns = chunk.shape
        self.mean = torch.zeros(n_columns, dtype=torch.float64, device=chunk.device)
        self.squares = torch.zeros(n_columns, dtype=torch.float64, device=chunk.device)
        self.steps: list[Tensor] = []
        width = -(-n_columns // multiple) * multiple
        factors = torch.float64 if dtype == torch.float64 else torch.float32
        self.shifted = zeros((n_rows, width), factors, chunk.device)

    def add(self, chunk: Float[Tensor, "rows columns"], n_before: int) -> Float[Tensor, "rows columns"]:
        """Return the chunk shifted, and note the two steps by which its products differ from centred ones.

        Products of shifted columns are those of centred ones plus n·e·eᵀ, e being the means left after the shift. The
        products of all rows are those within the chunks plus nₐ·n_b/(nₐ + n_b)·d·dᵀ, d being the difference of the
        means of a chunk and those before it (Chan's update).
        """
        n_rows = len(chunk)
        shifted = self.shifted[:n_rows]
        left_over, mean = torch.empty_like(self.mean), torch.empty_like(self.mean)

        def measure(start: int) -> None:
            strip = slice(start, start + _STRIP)
            shift, left_over[strip], squares = _shift(chunk[:, strip], shifted[:, strip])
            mean[strip] = shift + left_over[strip]
            self.squares[strip] += squares

        share([partial(measure, start) for start in range(0, chunk.shape[1], _STRIP)], chunk.device)
        new = n_rows / (n_before + n_rows)
        gap = mean - self.mean
        self.steps += [sqrt(n_before * new) * gap, sqrt(n_rows) * left_over]
        self.squares += self.steps[-2].square()
        self.mean += new * gap
        return shifted


def _shift(values: Tensor, shifted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Write values less a typical one of each column, which is returned with the mean left and the centred squares.

    The typical value is a median, because it makes the many almost equal values of a rare concept almost zero. It is
    never further than a standard deviation from the mean, or the mean is taken: taking off what the shift adds to the
    products then cancels half of them at most. It is a number of the same format, so one rounding is all that a
    difference suffers, and an all-equal column becomes exact zeros.
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    shift = values[:: -(-len(values) // _ROWS_SAMPLED)].median(0).values
    left_over, squares = _measure(values, shift)
    far = left_over.square() > squares / len(values)
    if bool(far.any()):
        shift = torch.where(far, (shift + left_over).to(shift.dtype), shift)
        left_over, squares = _measure(values, shift)
    torch.sub(values, shift, out=shifted[:, : values.shape[1]])
    return shift.to(torch.float64), left_over, squares


def _measure(values: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means after a shift and the sums of squares about them."""
    exact = values.to(torch.float64, copy=True)
    exact -= shift
    left_over = exact.mean(0)
    squares = exact.square_().sum(0)
    return left_over, (squares - len(values) * left_over.square()).clamp_(min=0)


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros, on a CPU in memory from NumPy: it asks for large pages, and so for fewer of them."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, np.float64 if dtype == torch.float64 else np.float32)).zero_()
