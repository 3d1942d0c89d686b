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

# What is left of the variance of a column without a shard, as a share of that about any mean with it, if nothing but
# rounding is left: hundreds of times what a sum over the shards may be off by.
_ROUNDING = 1e-13


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
        train = (concept_mean, neuron_mean, gram, cross, variance)
        rest = _leave_out(neuron, start, corner, width, counts, *train)
        val = (val_concept_mean, val_neuron_mean, val_gram, val_cross, val_variance)
        val_rest = _leave_out(neuron, start, corner, width, val_counts, *val)
        n_terms = 0
        while n_terms < most and wanted[neuron, n_terms] >= 0:
            n_terms += 1
        terms = wanted[neuron, :n_terms]
        for shard in range(n_shards):
            concepts[:] = -1
            fit, choice = rest[shard], val_rest[shard]  # the concepts, and then the neuron
            value = refit(fit, fit[width], choice, choice[width], choice[width, width], terms, concepts, found)
            is_same = True
            for term in range(n_terms):
                is_same = is_same and concepts[term] == terms[term]
            if is_same:  # where a term has become collinear nothing is known
                weights[neuron, shard, :n_terms] = found[:n_terms]
                correlations[neuron, shard] = value if value != UNDEFINED else np.nan


@compiled
def _leave_out(
    neuron: int,
    start: int,
    corner: int,
    width: int,
    counts: Array,
    concept_mean: Array,
    neuron_mean: Array,
    gram: Array,
    cross: Array,
    variance: Array,
) -> Array:
    """Return the covariances of a neuron's concepts and, last, the neuron over all shards but each one.

    From sums of products about the means of the first shard, with a column of ones at the end, whose products are the
    sums and the number of images. Sums of the shards before are added to those of the shards after, because taking
    away would leave rounding in place of what is small.
    """
    n_shards, last = len(counts), width + 1
    own, rest = np.empty((n_shards, last + 1, last + 1)), np.empty((n_shards, last + 1, last + 1))
    gap = np.ones(last + 1)
    for shard in range(n_shards):
        n_images = counts[shard]
        for row in range(width):
            gap[row] = concept_mean[shard, start + row] - concept_mean[0, start + row]
            for column in range(row + 1):
                own[shard, row, column] = n_images * (
                    gram[shard, corner + row * width + column] + gap[row] * gap[column]
                )
        gap[width] = neuron_mean[shard, neuron] - neuron_mean[0, neuron]
        for column in range(width):
            own[shard, width, column] = n_images * (cross[shard, start + column] + gap[width] * gap[column])
        own[shard, width, width] = n_images * (variance[shard, neuron] + gap[width] * gap[width])
        for column in range(last + 1):
            own[shard, last, column] = n_images * gap[column]
    for row in range(last + 1):
        for column in range(row + 1):
            before, after = 0.0, 0.0
            for shard in range(n_shards):
                rest[shard, row, column] = before
                before += own[shard, row, column]
            for shard in range(n_shards - 1, -1, -1):
                rest[shard, row, column] += after
                after += own[shard, row, column]
    for shard in range(n_shards):
        _centre(rest[shard], own[shard])
    return rest


@compiled
def _centre(products: Array, left_out: Array) -> None:
    """Turn sums of products into covariances in place, those of a column that does not vary without a shard into 0."""
    last = len(products) - 1
    share = 1 / products[last, last]
    for row in range(last):
        mean = share * products[last, row]
        whole = share * (products[row, row] + left_out[row, row])
        for column in range(row + 1):
            products[row, column] = share * products[row, column] - mean * share * products[last, column]
        if products[row, row] <= _ROUNDING * whole:
            products[row, : row + 1] = 0.0
        for column in range(row):
            if products[column, column] == 0.0:
                products[row, column] = 0.0
            products[column, row] = products[row, column]
