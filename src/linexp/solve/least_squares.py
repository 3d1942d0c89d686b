"""Exact least squares in moments: one more term at a time, and what a fit is worth on other images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled
from linexp.solve.moments import Moments

# A concept is left out of a fit if the terms already there explain all but this share of its variance: ten times what
# float32 products may be off by (1e-6, docs/speed.md), which is what is left of a copy.
COLLINEAR = 1e-5
# The correlation of a fit, or with a neuron, that does not vary: below any real one.
UNDEFINED = -2.0


@dataclass(frozen=True, eq=False)
class Solution:
    """Which concepts each neuron is explained with, and how well.

    Parameters
    ----------
    concepts
        Chosen concepts [neurons, terms], padded with -1.
    weights
        Least-squares weights in the scale of the moments [neurons, terms], padded with 0.
    val_correlation
        Correlation of the fit with the neuron on the validation images; NaN where there is no term, or where fit or
        neuron do not vary there.
    """

    concepts: Indices
    weights: Array
    val_correlation: Array

    @staticmethod
    def empty(n_neurons: int, n_terms: int) -> Solution:
        """Return one without any term, for ``parts`` to be filled in place."""
        shape = (n_neurons, n_terms)
        return Solution(np.full(shape, -1), np.zeros(shape), np.full(n_neurons, np.nan))

    @property
    def parts(self) -> tuple[Indices, Array, Array]:
        """Concepts, weights and correlations, as compiled functions take them."""
        return self.concepts, self.weights, self.val_correlation


class Sides(NamedTuple):
    """Moments of training and validation images as compiled functions take them: side by side what is a neuron's."""

    gram: Array
    cross: Array
    variance: Array
    val_gram: Array
    val_cross: Array
    val_variance: Array

    @staticmethod
    def of(train: Moments, val: Moments) -> Sides:
        """Take them from both."""
        columns = [np.ascontiguousarray(side.cross.numpy().T) for side in (train, val)]
        variances = [side.neuron_variance.numpy() for side in (train, val)]
        return Sides(train.gram.numpy(), columns[0], variances[0], val.gram.numpy(), columns[1], variances[1])


def noise_of(n_images: int) -> float:
    """Return the standard deviation of the correlation of two columns that have nothing to do with each other.

    Over all orders of one of them it is exactly 1/√(n − 1), whatever their values are. Infinite for one image.
    """
    return 1 / math.sqrt(n_images - 1) if n_images > 1 else math.inf


@compiled
def grow(gram: Array, cross: Array, chosen: Indices, n_terms: int, factor: Array, rotated: Array, concept: int) -> bool:
    """Extend the Cholesky factor of the chosen concepts' Gram matrix by ``concept``, in row ``n_terms``.

    ``rotated`` holds L⁻¹c, so the weights follow by one back substitution. Returns False, with nothing of use
    written, if the concept is a combination of those already there.
    """
    left = gram[concept, concept]
    target = cross[concept]
    for row in range(n_terms):
        value = gram[concept, chosen[row]]
        for column in range(row):
            value -= factor[row, column] * factor[n_terms, column]
        value /= factor[row, row]
        factor[n_terms, row] = value
        left -= value * value
        target -= value * rotated[row]
    if left <= COLLINEAR * gram[concept, concept]:
        return False
    factor[n_terms, n_terms] = np.sqrt(left)
    rotated[n_terms] = target / np.sqrt(left)
    return True


@compiled
def solve(factor: Array, rotated: Array, n_terms: int, weights: Array) -> None:
    """Write the least-squares weights of the first ``n_terms`` concepts into ``weights``."""
    for row in range(n_terms - 1, -1, -1):
        value = rotated[row]
        for column in range(row + 1, n_terms):
            value -= factor[column, row] * weights[column]
        weights[row] = value / factor[row, row]


@compiled
def correlation(gram: Array, cross: Array, variance: float, chosen: Indices, n_terms: int, weights: Array) -> float:
    """Return the correlation of the weighted sum with the neuron; ``UNDEFINED`` where either does not vary."""
    along = 0.0
    spread = 0.0
    size = 0.0
    for row in range(n_terms):
        along += weights[row] * cross[chosen[row]]
        size += weights[row] * weights[row] * gram[chosen[row], chosen[row]]
        for column in range(n_terms):
            spread += weights[row] * weights[column] * gram[chosen[row], chosen[column]]
    # Terms that cancel each other to this share leave rounding, no prediction.
    if variance <= 0.0 or spread <= 1e-12 * size or spread <= 0.0:
        return UNDEFINED
    return along / np.sqrt(spread * variance)


@compiled
def refit(
    gram: Array,
    cross: Array,
    val_gram: Array,
    val_cross: Array,
    val_variance: float,
    wanted: Indices,
    concepts: Indices,
    weights: Array,
) -> float:
    """Fit the wanted concepts (-1: none) by least squares, in order, leaving out collinear ones.

    Fills ``concepts`` and ``weights`` from the front and returns the correlation on the validation images.
    """
    factor = np.zeros((len(wanted), len(wanted)))
    rotated = np.zeros(len(wanted))
    n_terms = 0
    for concept in wanted:
        if concept >= 0 and grow(gram, cross, concepts, n_terms, factor, rotated, concept):
            concepts[n_terms] = concept
            n_terms += 1
    solve(factor, rotated, n_terms, weights)
    return correlation(val_gram, val_cross, val_variance, concepts, n_terms, weights)


@compiled
def refit_neurons(
    first: int, last: int, sides: Sides, wanted: Indices, concepts: Indices, weights: Array, val_correlation: Array
) -> None:
    """Do ``refit`` for many neurons; a correlation that is undefined stays as it was."""
    for neuron in range(first, last):
        cross, val_cross, val_variance = sides.cross[neuron], sides.val_cross[neuron], sides.val_variance[neuron]
        given = (sides.gram, cross, sides.val_gram, val_cross, val_variance, wanted[neuron])
        value = refit(*given, concepts[neuron], weights[neuron])
        if value != UNDEFINED:
            val_correlation[neuron] = value
