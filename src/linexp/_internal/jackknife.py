"""The delete-a-group jackknife: each twentieth of the rows is left out once, and what is estimated looked at again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

_N_GROUPS = 20


# The image of each row, where rows are regions: scorers know rows alone.
_IMAGES: ContextVar[Tensor | None] = ContextVar("images", default=None)


@contextmanager
def leaving_out_images(images: Int[Tensor, " rows"] | None) -> Generator[None, None, None]:
    """Leave out whole images, given that of each row, for the time of the context: their regions are not independent.

    ``None``: each row is an image.
    """
    token = _IMAGES.set(images)
    try:
        yield
    finally:
        _IMAGES.reset(token)


def groups(n_rows: int) -> list[slice] | list[Tensor]:
    """Return the parts that are left out in turn.

    They are taken with a stride, so that rows sorted by class are spread over all of them.
    """
    images = _IMAGES.get()
    if images is not None:
        numbers = images.unique(return_inverse=True)[1]
        n_groups = min(_N_GROUPS, int(numbers.max()) + 1)
        return [torch.nonzero(numbers % n_groups == start)[:, 0] for start in range(n_groups)]
    n_groups = min(_N_GROUPS, n_rows)
    return [slice(start, None, n_groups) for start in range(n_groups)]


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
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Return what a formula makes of sums over the rows of two matrices, and its standard errors."""
    parts = torch.stack([sums(first[rows], second[rows]) for rows in groups(len(first))])
    # Added up anew for each, not subtracted from the total: what is zero must come out as zero.
    left = [formula(add_rows(torch.cat([parts[:place], parts[place + 1 :]]))) for place in range(len(parts))]
    return formula(add_rows(parts)), jackknife_error(torch.stack(left))
