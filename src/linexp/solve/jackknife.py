"""How far a fit would move with other images: every shard of them left out once (delete-a-group jackknife)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from linexp._internal.checks import check_at_least
from linexp._internal.jackknife import jackknife_error
from linexp.solve.least_squares import Solution
from linexp.solve.shortlist import ShortlistMoments
from linexp.solve.shortlist_fit import refit_among

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jackknife:
    """Standard errors of a solution.

    Parameters
    ----------
    weight_error
        Standard error of each weight, its terms being given [neurons, terms], in the scale of the moments; NaN where
        there is no term.
    val_error
        Standard error of the validation correlation, its terms being given [neurons]; NaN where it is undefined.
    """

    weight_error: Array
    val_error: Array


def jackknife(train: Sequence[ShortlistMoments], val: Sequence[ShortlistMoments], solution: Solution) -> Jackknife:
    """Leave out each shard of the training and the validation images once, fit the terms again, and compare.

    Parameters
    ----------
    train, val
        Moments of the solution's terms over disjoint shards of the images; shard i of both is left out together.
    solution
        What was found on all of them.

    Raises
    ------
    ValueError
        There are fewer than two shards.

    References
    ----------
    Efron & Stein (1981), The jackknife estimate of variance; Kott (2001), The delete-a-group jackknife.
    """
    n_shards = len(train)
    check_at_least("The number of shards", n_shards, 2)
    weights = np.full((n_shards, *solution.weights.shape), np.nan)
    correlations = np.full((n_shards, len(solution.weights)), np.nan)
    for left_out, rest in enumerate(zip(_leave_out(train), _leave_out(val), strict=True)):
        fitted = refit_among(*rest, solution.concepts)
        same = (fitted.concepts == solution.concepts).all(1)  # where a term has become collinear nothing is known
        weights[left_out, same], correlations[left_out, same] = fitted.weights[same], fitted.val_correlation[same]
    used = solution.concepts >= 0
    weight_error, val_error = (jackknife_error(torch.from_numpy(left)).numpy() for left in (weights, correlations))
    return Jackknife(np.where(used, weight_error, np.nan), np.where(used.any(1), val_error, np.nan))


def _leave_out(shards: Sequence[ShortlistMoments]) -> Iterator[ShortlistMoments]:
    """Yield the moments of all shards but one; by merging, because taking away would leave rounding in place of 0."""
    before = list(accumulate(shards, ShortlistMoments.merge))
    after = list(accumulate(reversed(shards), ShortlistMoments.merge))[::-1]
    for place in range(len(shards)):
        yield reduce(ShortlistMoments.merge, [*before[:place][-1:], *after[place + 1 :][:1]])
