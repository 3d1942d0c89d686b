"""How far a fit would move with other images: every shard of them left out once (delete-a-group jackknife)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from linexp._internal.checks import check_at_least
from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp._internal.jackknife import jackknife_error
from linexp.solve.least_squares import COLLINEAR, UNDEFINED, Solution, correlation
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
    weights, correlations = np.full((n_neurons, most, len(train)), np.nan), np.full((n_neurons, len(train)), np.nan)
    wanted, where = in_shortlist(solution.concepts, train[0].shortlist), train[0].shortlist
    sides = (*_stack(train), *_stack(val))
    share_neurons(n_neurons, _refit_without, wanted, where.starts, where.squares, *sides, weights, correlations)
    used = solution.concepts >= 0
    weight_error = jackknife_error(torch.from_numpy(np.moveaxis(weights, 2, 0))).numpy()
    val_error = jackknife_error(torch.from_numpy(correlations.T)).numpy()
    return Jackknife(np.where(used, weight_error, np.nan), np.where(used.any(1), val_error, np.nan))


def _stack(shards: Sequence[ShortlistMoments]) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the numbers of images, and the moments of all shards, as the compiled functions take them."""
    return (
        np.array([shard.n_images for shard in shards], np.float64),
        np.stack([shard.concept_mean for shard in shards], 1),
        np.stack([shard.neuron_mean for shard in shards], 1),
        np.stack([shard.gram for shard in shards], 1),
        np.stack([shard.cross for shard in shards], 1),
        np.stack([shard.neuron_variance for shard in shards], 1),
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
    for neuron in range(first, last):
        start, corner = starts[neuron], squares[neuron]
        width = starts[neuron + 1] - start
        n_terms = 0
        while n_terms < wanted.shape[1] and wanted[neuron, n_terms] >= 0:
            n_terms += 1
        if n_terms == 0:
            continue
        train = (concept_mean, neuron_mean, gram, cross, variance)
        rest = _leave_out(neuron, start, corner, width, counts, *train)
        val = (val_concept_mean, val_neuron_mean, val_gram, val_cross, val_variance)
        val_rest = _leave_out(neuron, start, corner, width, val_counts, *val)
        terms, found = wanted[neuron, :n_terms], weights[neuron, :n_terms]
        _refit(rest, width, terms, found)
        _correlate(val_rest, width, terms, found, correlations[neuron])


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
    """Return the covariances [columns, columns, shards] of a neuron's concepts and, last, the neuron.

    They are over all shards but each one: from sums of products about the means of the first shard, with a column of
    ones at the end, whose products are the sums and the numbers of images. Sums of the shards before are added to those
    of the shards after, because taking away would leave rounding in place of what is small.
    """
    n_shards, last = len(counts), width + 1
    own = np.empty((last + 1, last + 1, n_shards))
    gaps = np.ones((last + 1, n_shards))
    for row in range(width):
        gaps[row] = concept_mean[start + row] - concept_mean[start + row, 0]
    gaps[width] = neuron_mean[neuron] - neuron_mean[neuron, 0]
    for row in range(last + 1):
        for column in range(row + 1):
            total, left, right = own[row, column], gaps[row], gaps[column]
            for shard in range(n_shards):
                total[shard] = left[shard] * right[shard]
            if row < width:
                _add(gram[corner + row * width + column], total)
            elif row == width:
                _add(cross[start + column] if column < width else variance[neuron], total)
            for shard in range(n_shards):
                total[shard] *= counts[shard]
    rest = np.empty(own.shape)
    for row in range(last + 1):
        for column in range(row + 1):
            part, total = own[row, column], rest[row, column]
            before, after = 0.0, 0.0
            for shard in range(n_shards):
                total[shard] = before
                before += part[shard]
            for shard in range(n_shards - 1, -1, -1):
                total[shard] += after
                after += part[shard]
    _centre(rest, own)
    return rest


@compiled
def _add(values: Array, total: Array) -> None:
    for place in range(len(total)):
        total[place] += values[place]


@compiled
def _centre(products: Array, left_out: Array) -> None:
    """Turn sums of products into covariances in place, those of a column that does not vary without a shard into 0."""
    last, n_shards = len(products) - 1, products.shape[2]
    counts = products[last, last]
    varies = np.ones((last, n_shards))
    for row in range(last):
        for column in range(row + 1):
            total, left, right = products[row, column], products[last, row], products[last, column]
            for shard in range(n_shards):
                whole = total[shard] + left_out[row, row, shard]
                total[shard] -= left[shard] * right[shard] / counts[shard]
                if column == row and total[shard] <= _ROUNDING * whole:
                    varies[row, shard] = 0.0
                total[shard] /= counts[shard]
        for column in range(row + 1):
            total, here, other, mirrored = products[row, column], varies[row], varies[column], products[column, row]
            for shard in range(n_shards):
                total[shard] *= here[shard] * other[shard]
                mirrored[shard] = total[shard]


@compiled
def _refit(moments: Array, neuron: int, terms: Indices, weights: Array) -> None:
    """Fill in the weights [terms, shards] of least squares without each shard; NaN where a term is collinear.

    As ``least_squares.refit``, step by step for all shards at once.
    """
    n_terms, n_shards = weights.shape
    factor, known = np.empty((n_terms, n_terms, n_shards)), np.ones(n_shards)
    left = np.empty(n_shards)
    for row in range(n_terms):
        left[:] = moments[terms[row], terms[row]]
        weights[row] = moments[neuron, terms[row]]
        for column in range(row):
            value = factor[row, column]
            value[:] = moments[terms[row], terms[column]]
            for place in range(column):
                _subtract_product(factor[row, place], factor[column, place], value)
            for shard in range(n_shards):
                value[shard] /= factor[column, column, shard]
            _subtract_product(value, value, left)
            _subtract_product(value, weights[column], weights[row])
        whole = moments[terms[row], terms[row]]
        for shard in range(n_shards):
            if not left[shard] > COLLINEAR * whole[shard]:
                known[shard] = np.nan
                left[shard] = 1.0
            factor[row, row, shard] = np.sqrt(left[shard])
            weights[row, shard] /= factor[row, row, shard]
    for row in range(n_terms - 1, -1, -1):
        for column in range(row + 1, n_terms):
            _subtract_product(factor[column, row], weights[column], weights[row])
        for shard in range(n_shards):
            weights[row, shard] *= known[shard] / factor[row, row, shard]


@compiled
def _subtract_product(left: Array, right: Array, values: Array) -> None:
    for place in range(len(values)):
        values[place] -= left[place] * right[place]


@compiled
def _correlate(moments: Array, neuron: int, terms: Indices, weights: Array, correlations: Array) -> None:
    """Fill in the correlations of the weighted sums with the neuron; NaN where they are undefined."""
    for shard in range(len(correlations)):
        sides = moments[:, :, shard], moments[neuron, :, shard], moments[neuron, neuron, shard]
        value = correlation(*sides, terms, len(terms), weights[:, shard])
        correlations[shard] = value if value != UNDEFINED else np.nan
