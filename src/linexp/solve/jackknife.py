"""How far a fit would move with other images: every shard of them left out once (delete-a-group jackknife)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from linexp._internal.checks import check_at_least
from linexp._internal.jackknife import jackknife_error
from linexp.solve.least_squares import Solution, fit_terms
from linexp.solve.moments import Moments
from linexp.solve.shortlist import ShortlistMoments
from linexp.solve.shortlist_fit import refit_among

Array = NDArray[np.float64]
Kind = TypeVar("Kind", Moments, ShortlistMoments)


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


def jackknife(train: Sequence[Kind], val: Sequence[Kind], solution: Solution) -> Jackknife:
    """Leave out each shard of the training and the validation images once, fit the terms again, and compare.

    Parameters
    ----------
    train, val
        Moments of the same columns over disjoint shards of the images; shard i of both is left out together. Those of
        shortlists do, if the terms of the solution are on them.
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
        weights[left_out], correlations[left_out] = _refit(*rest, solution)
    used = solution.concepts >= 0
    weight_error, val_error = (jackknife_error(torch.from_numpy(left)).numpy() for left in (weights, correlations))
    return Jackknife(np.where(used, weight_error, np.nan), np.where(used.any(1), val_error, np.nan))


def _leave_out(shards: Sequence[Kind]) -> Iterator[Kind]:
    """Yield the moments of all shards but one; by merging, because taking away would leave rounding in place of 0."""
    merge: Callable[[Kind, Kind], Kind] = cast(Any, type(shards[0])).merge
    before = list(accumulate(shards, merge))
    after = list(accumulate(reversed(shards), merge))[::-1]
    for place in range(len(shards)):
        parts = [*before[:place][-1:], *after[place + 1 :][:1]]
        yield reduce(merge, parts)


def _refit(train: Kind, val: Kind, solution: Solution) -> tuple[Array, Array]:
    """Fit the same terms to other moments; where one has become collinear nothing is known."""
    if isinstance(train, Moments) and isinstance(val, Moments):
        fitted = fit_terms(train, val, solution.concepts)
    elif isinstance(train, ShortlistMoments) and isinstance(val, ShortlistMoments):
        fitted = refit_among(train, val, solution.concepts)
    else:
        raise TypeError(f"train is {type(train).__name__}, val is {type(val).__name__}. Give two of the same kind.")
    same = (fitted.concepts == solution.concepts).all(1)
    return np.where(same[:, None], fitted.weights, np.nan), np.where(same, fitted.val_correlation, np.nan)
