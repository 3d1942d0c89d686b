"""Forward selection over all concepts for all neurons at once, its length chosen from training and validation fit."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp.solve.least_squares import COLLINEAR, Sides, Solution, correlation, grow, noise_of, solve
from linexp.solve.moments import Moments
from linexp.solve.nonnegative import Sign, is_positive

# A concept must beat one before it by this share: more than rounding, so that of equal concepts the first is taken.
_TIE = 1e-6
# Taken off the training fit for each term, in units of log(concepts) × residual variance / images. The best of many
# useless concepts gains 2 of them where it was chosen, and loses as much on other images.
_SEARCH_COST = 3.0


def search_stepwise(
    train: Moments, val: Moments, *, max_terms: int = 10, min_gain: float = 0.02, sign: Sign = "any"
) -> Solution:
    """Add, one after the other, the concept that reduces the squared error on the training images most.

    All concepts are candidates for each term, whatever the sign of their weight; combinations of those already there
    are skipped. Of the sizes 0 to ``max_terms`` the one is kept whose expected correlation on other images, less
    ``min_gain`` for each term, is largest. What is expected comes from all images: the share of variance explained on
    the training images, less what searching for the terms alone would have gained, and that on the validation images,
    averaged by the number of images. A size whose validation correlation is not above its standard error (``noise_of``)
    is out. With ``sign="positive"`` only concepts beside which all weights stay above 0 are added. Each neuron's result
    is its own: it does not depend on the others.

    References
    ----------
    Foster & George (1994), The risk inflation criterion for multiple regression: the cost of a search.
    """
    solution = Solution.empty(len(train.neuron_variance), min(max_terms, len(train.gram)))
    scales = train.concept_variance.numpy().copy()  # side by side: in the matrix each is a page of memory from the next
    cost = _SEARCH_COST * np.log(len(train.gram)) / train.n_images
    settings = (
        cost,
        val.n_images / (train.n_images + val.n_images),
        noise_of(val.n_images),
        min_gain,
        sign == "positive",
    )
    sides = Sides.of(train, val)
    share_neurons(len(train.neuron_variance), _search_neurons, sides, scales, *settings, *solution.parts)
    return solution


@compiled
def _search_neurons(
    first: int,
    last: int,
    sides: Sides,
    scales: Array,
    cost: float,
    val_share: float,
    noise: float,
    min_gain: float,
    positive: bool,
    concepts: Indices,
    weights: Array,
    val_correlation: Array,
) -> None:
    for neuron in range(first, last):
        settings = (cost, val_share, noise, min_gain, positive)
        val_correlation[neuron] = _search_one(sides, neuron, scales, *settings, concepts[neuron], weights[neuron])


@compiled
def _search_one(
    sides: Sides,
    neuron: int,
    scales: Array,
    cost: float,
    val_share: float,
    noise: float,
    min_gain: float,
    positive: bool,
    chosen: Indices,
    weights: Array,
) -> float:
    gram, cross, variance = sides.gram, sides.cross[neuron], sides.variance[neuron]
    val_cross, val_variance = sides.val_cross[neuron], sides.val_variance[neuron]
    most = len(chosen)
    factor, rotated, trial = np.zeros((most, most)), np.zeros(most), np.zeros(most)
    rows, slack, left = np.empty((most, len(cross))), cross.copy(), scales.copy()
    best, best_size, best_value, explained = 0.0, 0, np.nan, 0.0
    for n_terms in range(most):
        if positive:
            concept = choose_positive(gram, cross, chosen, n_terms, factor, rotated, scales, slack, left)
        else:
            concept = choose_next(scales, slack, left)
        if concept < 0 or not grow(gram, cross, chosen, n_terms, factor, rotated, concept):
            break
        chosen[n_terms] = concept
        explained += add_concept(gram, concept, n_terms, rows, slack, left) ** 2 / variance
        solve(factor, rotated, n_terms + 1, trial)
        value = correlation(sides.val_gram, val_cross, val_variance, chosen, n_terms + 1, trial)
        expected = (1 - val_share) * (explained - cost * (n_terms + 1) * (1 - explained)) + val_share * value * value
        score = np.sqrt(max(expected, 0.0)) - min_gain * (n_terms + 1)
        if value > noise and score > best:
            best, best_size, best_value = score, n_terms + 1, value
            weights[: n_terms + 1] = trial[: n_terms + 1]
    chosen[best_size:] = -1
    return best_value


@compiled
def choose_next(scales: Array, slack: Array, left: Array) -> int:
    """Return the concept that would reduce the squared error most, the first of equals; -1 if none would.

    ``scales`` are the variances of the concepts and ``left`` what the terms so far leave of them, ``slack`` is the
    covariance of each concept with what is left of the neuron.
    """
    best = -1
    most = 0.0
    for concept in range(len(slack)):
        if left[concept] > COLLINEAR * scales[concept]:
            gain = slack[concept] * slack[concept] / left[concept]
            if gain > most * (1 + _TIE):
                best = concept
                most = gain
    return best


@compiled
def choose_positive(
    gram: Array,
    cross: Array,
    chosen: Indices,
    n_terms: int,
    factor: Array,
    rotated: Array,
    scales: Array,
    slack: Array,
    left: Array,
) -> int:
    """Do what ``choose_next`` does among concepts beside which all least-squares weights are above 0.

    Row ``n_terms`` of ``factor`` and ``rotated`` is scratch; those before belong to the concepts chosen.
    """
    pull, weights = np.maximum(slack, 0.0), np.zeros(n_terms + 1)  # a new weight has the sign of its slack
    while True:
        concept = choose_next(scales, pull, left)
        if concept < 0:
            return -1
        if grow(gram, cross, chosen, n_terms, factor, rotated, concept):
            solve(factor, rotated, n_terms + 1, weights)
            if is_positive(weights, n_terms + 1):
                return concept
        pull[concept] = 0.0


@compiled
def add_concept(gram: Array, concept: int, n_terms: int, rows: Array, slack: Array, left: Array) -> float:
    """Add a concept to ``n_terms`` others: bring ``slack`` and ``left`` up to date.

    Row ``n_terms`` of ``rows`` becomes the covariance of all concepts with the part of this one that the others do not
    explain, at unit variance. Returns the covariance of the neuron with that part.
    """
    row = rows[n_terms]
    row[:] = gram[concept]
    for before in range(n_terms):
        shared = rows[before, concept]
        for place in range(len(row)):
            row[place] -= shared * rows[before, place]
    length = np.sqrt(row[concept])
    along = slack[concept] / length
    for place in range(len(row)):
        row[place] /= length
        slack[place] -= along * row[place]
        left[place] -= row[place] * row[place]
    return along
