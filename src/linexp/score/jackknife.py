"""Standard errors of scores over images: each twentieth of the images is left out once (the jackknife)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

_N_SHARDS = 20


def shards(n_rows: int) -> list[slice]:
    """Return the parts that are left out in turn.

    They are taken with a stride, so that rows sorted by class are spread over all of them.
    """
    n_shards = min(_N_SHARDS, n_rows)
    return [slice(start, None, n_shards) for start in range(n_shards)]


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


def jackknife_error(left: Float[Tensor, "shards neurons"]) -> Float[Tensor, " neurons"]:
    """Return the standard errors, given the scores without each shard; NaN where one of these is undefined.

    References
    ----------
    Efron & Stein (1981), The jackknife estimate of variance.
    """
    n_shards = len(left)
    deviations = left - add_rows(left) / n_shards
    return ((n_shards - 1) / n_shards * add_rows(deviations.square())).sqrt()


def score_sums(
    simulated: Float[Tensor, "rows neurons"],
    recorded: Float[Tensor, "rows neurons"],
    sums: Callable[[Tensor, Tensor], Float[Tensor, "sums neurons"]],
    formula: Callable[[Float[Tensor, "sums neurons"]], Float[Tensor, " neurons"]],
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Score by a formula of sums over rows, and return the scores and their standard errors."""
    parts = torch.stack([sums(simulated[part], recorded[part]) for part in shards(len(simulated))])
    # Added up anew for each, not subtracted from the total: what is zero must come out as zero.
    left = [formula(add_rows(torch.cat([parts[:place], parts[place + 1 :]]))) for place in range(len(parts))]
    return formula(add_rows(parts)), jackknife_error(torch.stack(left))
