"""The delete-a-group jackknife: each twentieth of the rows is left out once, and what is estimated looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

_N_GROUPS = 20

Groups: TypeAlias = Sequence[slice] | Sequence[Int[Tensor, " rows"]]
"""Rows that are left out together; each is in one group."""


def groups(n_rows: int, images: Int[Tensor, " rows"] | None = None, n_groups: int = _N_GROUPS) -> Groups:
    """Return the parts that are left out in turn.

    They are taken with a stride, so that rows sorted by class are spread over all of them. ``images`` is the image of
    each row, where rows are regions: those of an image are not independent of each other, and are left out together.
    """
    if images is None:
        n_groups = min(n_groups, n_rows)
        return [slice(start, None, n_groups) for start in range(n_groups)]
    numbers = images.unique(return_inverse=True)[1]
    n_groups = min(n_groups, int(numbers.max()) + 1)
    return [torch.nonzero(numbers % n_groups == start)[:, 0] for start in range(n_groups)]


def add_rows(values: Float[Tensor, "rows ..."]) -> Tensor:
    """Add up the rows in float64, always in the same order: one half to the other.

    A neuron's sum is then the same to the last bit however many others there are, and however many threads.
    """
    rows = values.to(torch.float64)
    while len(rows) > 1:
        half = len(rows) // 2
        halves = rows[:half] + rows[half : 2 * half]
        if len(rows) % 2:
            halves[0] += rows[-1]
        rows = halves
    return rows[0]


def jackknife_error(left: Float[Tensor, "groups ..."]) -> Float[Tensor, " ..."]:
    """Return the standard errors, given the estimates without each group; NaN where one of these is undefined.

    References
    ----------
    Efron & Stein (1981), The jackknife estimate of variance; Kott (2001), The delete-a-group jackknife.
    """
    n_groups = len(left)
    deviations = left - add_rows(left) / n_groups
    return ((n_groups - 1) / n_groups * add_rows(deviations.square())).sqrt()


def estimate_by_sums(
    first: Float[Tensor, "rows neurons"],
    second: Float[Tensor, "rows neurons"],
    sums: Callable[[Tensor, Tensor], Float[Tensor, "sums neurons"]],
    formula: Callable[[Float[Tensor, "sums neurons"]], Float[Tensor, " neurons"]],
    left_out: Groups,
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Return what a formula makes of sums over the rows of two matrices, and its standard errors."""
    parts = torch.stack([sums(first[rows], second[rows]) for rows in left_out])
    # Added up anew for each, not subtracted from the total: what is zero must come out as zero.
    left = [formula(add_rows(torch.cat([parts[:place], parts[place + 1 :]]))) for place in range(len(parts))]
    return formula(add_rows(parts)), jackknife_error(torch.stack(left))
