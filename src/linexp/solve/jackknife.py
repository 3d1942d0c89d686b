"""How far a fit would move with other images: every shard of them left out once (delete-a-group jackknife)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from linexp._internal.checks import check_at_least
from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp._internal.jackknife import jackknife_error
from linexp.solve.least_squares import UNDEFINED, Solution, refit
from linexp.solve.shortlist import ShortlistMoments
from linexp.solve.shortlist_fit import in_shortlist


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
    check_at_least("The number of shards", len(train), 2)
    n_neurons, most = solution.concepts.shape
    weights, correlations = np.full((n_neurons, len(train), most), np.nan), np.full((n_neurons, len(train)), np.nan)
    wanted, where = in_shortlist(solution.concepts, train[0].shortlist), train[0].shortlist
    sides = (*_stack(train), *_stack(val))
    share_neurons(n_neurons, _refit_without, wanted, where.starts, where.squares, *sides, weights, correlations)
    used = solution.concepts >= 0
    weight_error = jackknife_error(torch.from_numpy(weights.swapaxes(0, 1))).numpy()
    val_error = jackknife_error(torch.from_numpy(correlations.T)).numpy()
    return Jackknife(np.where(used, weight_error, np.nan), np.where(used.any(1), val_error, np.nan))


def _stack(shards: Sequence[ShortlistMoments]) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the numbers of images, and the moments of all shards, as the compiled functions take them."""
    return (
        np.array([shard.n_images for shard in shards], np.float64),
        np.stack([shard.concept_mean for shard in shards]),
        np.stack([shard.neuron_mean for shard in shards]),
        np.stack([shard.gram for shard in shards]),
        np.stack([shard.cross for shard in shards]),
        np.stack([shard.neuron_variance for shard in shards]),
    )


@compiled
def _refit_without(
    first: int,
    last: int,
    wanted: Indices,
    starts: Indices,
    squares: Indices,
    counts: Array,
    concept_mean: Array,
    neuron_mean: Array,
    gram: Array,
    cross: Array,
    variance: Array,
    val_counts: Array,
    val_concept_mean: Array,
    val_neuron_mean: Array,
    val_gram: Array,
    val_cross: Array,
    val_variance: Array,
    weights: Array,
    correlations: Array,
) -> None:
    """Fit the terms of the neurons ``first`` to ``last`` without each shard; what cannot be fitted stays NaN."""
    n_shards, most = len(counts), wanted.shape[1]
    concepts, found = np.empty(most, np.int64), np.empty(most)
    for neuron in range(first, last):
        start, corner = starts[neuron], squares[neuron]
        width = starts[neuron + 1] - start
        if width == 0:
            continue
        rest, val_rest = np.zeros((n_shards, width + 1, width + 1)), np.zeros((n_shards, width + 1, width + 1))
        train = (concept_mean, neuron_mean, gram, cross, variance)
        _leave_out(neuron, start, corner, counts, *train, rest)
        val = (val_concept_mean, val_neuron_mean, val_gram, val_cross, val_variance)
        _leave_out(neuron, start, corner, val_counts, *val, val_rest)
        for shard in range(n_shards):
            concepts[:], found[:] = -1, 0.0
            fit, choice = rest[shard], val_rest[shard]  # the concepts, and last the neuron
            value = refit(fit, fit[width], choice, choice[width], choice[width, width], wanted[neuron], concepts, found)
            is_same = True
            for term in range(most):
                is_same = is_same and concepts[term] == wanted[neuron, term]
            if is_same:  # where a term has become collinear nothing is known
                weights[neuron, shard] = found
                correlations[neuron, shard] = value if value != UNDEFINED else np.nan


@compiled
def _leave_out(
    neuron: int,
    start: int,
    corner: int,
    counts: Array,
    concept_mean: Array,
    neuron_mean: Array,
    gram: Array,
    cross: Array,
    variance: Array,
    rest: Array,
) -> None:
    """Fill ``rest`` with the covariances of a neuron's concepts and, last, the neuron over all shards but each one.

    By merging those before it with those after it, because taking away would leave rounding in place of 0.
    """
    n_shards, n_columns = len(counts), rest.shape[1]
    width = n_columns - 1
    mean, both = np.empty((n_shards, n_columns)), np.empty((n_shards, n_columns, n_columns))
    for shard in range(n_shards):
        for row in range(width):
            mean[shard, row], both[shard, width, row] = concept_mean[shard, start + row], cross[shard, start + row]
            for column in range(row + 1):
                both[shard, row, column] = gram[shard, corner + row * width + column]
        mean[shard, width], both[shard, width, width] = neuron_mean[shard, neuron], variance[shard, neuron]
    some, some_mean, n_some = np.zeros((1, n_columns, n_columns)), np.zeros((1, n_columns)), 0.0
    rest_mean, n_rest = np.zeros((n_shards, n_columns)), np.zeros(n_shards)
    for shard in range(n_shards):
        n_rest[shard] = _merge(rest, rest_mean, shard, 0.0, some, some_mean, 0, n_some)
        n_some = _merge(some, some_mean, 0, n_some, both, mean, shard, counts[shard])
    n_some = 0.0
    for shard in range(n_shards - 1, -1, -1):
        _merge(rest, rest_mean, shard, n_rest[shard], some, some_mean, 0, n_some)
        n_some = _merge(some, some_mean, 0, n_some, both, mean, shard, counts[shard])
        for row in range(n_columns):
            for column in range(row):
                rest[shard, column, row] = rest[shard, row, column]


@compiled
def _merge(
    both: Array, mean: Array, at: int, n_images: float, other: Array, other_mean: Array, of: int, n_others: float
) -> float:
    """Put the means, and the lower triangle of the covariances, of other images to those there are, in place.

    As ``Moments.merge``; returns the number of images.
    """
    if n_others == 0.0:
        return n_images
    share = n_others / (n_images + n_others)
    between = share * (1 - share)
    for row in range(mean.shape[1]):
        gap = between * (other_mean[of, row] - mean[at, row])
        for column in range(row + 1):
            moved = gap * (other_mean[of, column] - mean[at, column])
            both[at, row, column] = (1 - share) * both[at, row, column] + share * other[of, row, column] + moved
    for row in range(mean.shape[1]):
        mean[at, row] += share * (other_mean[of, row] - mean[at, row])
    return n_images + n_others
