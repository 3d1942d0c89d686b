"""Best-subset search by swaps, for what concepts can predict of a neuron rather than for its noise."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp.solve.least_squares import COLLINEAR, Solution, grow, noise_of
from linexp.solve.moments import Moments
from linexp.solve.nonnegative import Sign, fits_positive
from linexp.solve.refit import fit_terms
from linexp.solve.stepwise import add_concept, choose_next, choose_positive

# Ridge penalties tried for the reference: right for neurons with so much noise variance per predictable variance.
_NOISE_TO_SIGNAL = (0.01, 0.3, 2.0, 6.0, 20.0)
# A swap must explain this share more of the reference than doing nothing, or than a swap before it: more than
# rounding, so that no swap is undone and of equal concepts the first is taken.
_SMALLEST_SWAP = 1e-6


def search_swaps(
    train: Moments, val: Moments, *, max_terms: int = 10, min_gain: float = 0.02, sign: Sign = "any"
) -> Solution:
    """Find for each size the terms that best stand for the best prediction of the neuron, and keep the best size.

    First a ridge regression on all concepts, the reference, predicts each neuron as well as they allow; its penalty is
    chosen for each neuron by generalised cross-validation, on the training and validation images together. Terms are
    then chosen to reproduce the reference, not the noisy neuron: each next one over all concepts, followed by swaps of
    one term for any other concept as long as that explains more. The correlation to be expected on other images is
    that of the reference, known from the cross-validation, times that between the short fit and the reference. The
    size is kept at which it is largest, less ``min_gain`` for each term, so terms go to neurons where they buy most;
    a neuron of which nothing can be predicted at that price gets none.
    Weights are least squares on the training images, as in the other searches. Terms whose validation correlation is
    not above its standard error (``noise_of``), or undefined, are none. With ``sign="positive"`` only terms that stand
    for the reference with weights above 0 are added and swapped, and the weights are nonnegative least squares. Each
    neuron's result is its own: it does not depend on the others.

    References
    ----------
    Piironen, Paasiniemi & Vehtari (2020), Projective inference in high-dimensional problems; Golub, Heath & Wahba
    (1979), Generalized cross-validation; swaps: Hazimeh & Mazumder (2020), Fast best subset selection.
    """
    n_neurons = len(train.neuron_variance)
    together = train.merge(val)
    scale = np.sqrt(together.concept_variance.numpy())
    scale[scale == 0] = 1
    all_gram = together.gram.numpy() / scale / scale[:, None]
    all_cross = together.cross.numpy() / scale[:, None]
    targets, spread, ceiling = _fit_reference(all_gram, all_cross, together.neuron_variance.numpy(), together.n_images)
    target, scales = np.ascontiguousarray(targets.T), all_gram.diagonal().copy()
    wanted = np.full((n_neurons, min(max_terms, len(train.gram))), -1)
    settings = (min_gain, sign == "positive")
    share_neurons(n_neurons, _choose_terms, all_gram, scales, target, spread, ceiling, *settings, wanted)
    return _beyond(fit_terms(train, val, wanted, sign), noise_of(val.n_images))


def _beyond(solution: Solution, noise: float) -> Solution:
    """Leave out the terms of neurons whose validation correlation is not above the noise."""
    good = solution.val_correlation > noise
    return Solution(
        np.where(good[:, None], solution.concepts, -1),
        np.where(good[:, None], solution.weights, 0.0),
        np.where(good, solution.val_correlation, np.nan),
    )


def _fit_reference(gram: Array, cross: Array, variance: Array, n_images: int) -> tuple[Array, Array, Array]:
    """Predict each neuron from all concepts by ridge regression.

    Returns the covariance of concepts and prediction, the variance of the prediction, and its correlation with the
    neuron as generalised cross-validation expects it on other images; 0 where it expects none.
    """
    n_varying = max(np.count_nonzero(gram.diagonal()), 1)
    targets, spread, least = np.zeros_like(cross), np.zeros_like(variance), variance.copy()
    for noise in _NOISE_TO_SIGNAL:
        penalty = noise * n_varying / n_images
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        freedom = 1 + len(gram) - penalty * float(np.trace(inverse))
        weights = inverse @ cross
        along, size = np.einsum("cn,cn->n", weights, cross), np.einsum("cn,cn->n", weights, weights)
        error = (variance - along - penalty * size) / (1 - freedom / n_images) ** 2
        better = error < least
        least[better] = error[better]
        spread[better] = (along - penalty * size)[better]
        np.copyto(targets, cross - penalty * weights, where=better)
    share = np.divide(variance - least, variance, out=np.zeros_like(variance), where=(variance > 0) & (spread > 0))
    return targets, spread, np.sqrt(share)


@compiled
def _choose_terms(
    first: int,
    last: int,
    gram: Array,
    scales: Array,
    target: Array,
    spread: Array,
    ceiling: Array,
    min_gain: float,
    positive: bool,
    wanted: Indices,
) -> None:
    for neuron in range(first, last):
        if ceiling[neuron] > 0.0:
            own = (target[neuron], spread[neuron], ceiling[neuron])
            _choose_for_one(gram, scales, *own, min_gain, positive, wanted[neuron])


@compiled
def _choose_for_one(
    gram: Array,
    scales: Array,
    target: Array,
    spread: float,
    ceiling: float,
    min_gain: float,
    positive: bool,
    wanted: Indices,
) -> None:
    most = len(wanted)
    chosen, along = np.full(most, -1), np.zeros(most)
    rows, slack, left = np.empty((most, len(target))), target.copy(), scales.copy()
    best = 0.0
    for n_terms in range(1, most + 1):
        if ceiling - min_gain * n_terms <= best:  # no larger size can be worth its price
            break
        if positive:
            concept = _next_positive(gram, target, chosen, n_terms - 1, scales, slack, left)
        else:
            concept = choose_next(scales, slack, left)
        if concept < 0:
            break
        chosen[n_terms - 1] = concept
        along[n_terms - 1] = add_concept(gram, concept, n_terms - 1, rows, slack, left)
        _swap_terms(gram, scales, target, spread, positive, chosen[:n_terms], rows, along, slack, left)
        explained = 0.0
        for place in range(n_terms):
            explained += along[place] * along[place]
        score = ceiling * np.sqrt(min(explained / spread, 1.0)) - min_gain * n_terms
        if score > best:
            best = score
            wanted[:n_terms] = chosen[:n_terms]


@compiled
def _next_positive(
    gram: Array, target: Array, chosen: Indices, n_terms: int, scales: Array, slack: Array, left: Array
) -> int:
    most = n_terms + 1
    factor, rotated = np.zeros((most, most)), np.zeros(most)
    for term in range(n_terms):  # swaps have changed any of them
        grow(gram, target, chosen, term, factor, rotated, chosen[term])
    return choose_positive(gram, target, chosen, n_terms, factor, rotated, scales, slack, left)


@compiled
def _swap_terms(
    gram: Array,
    scales: Array,
    target: Array,
    spread: float,
    positive: bool,
    chosen: Indices,
    rows: Array,
    along: Array,
    slack: Array,
    left: Array,
) -> None:
    """Replace one term by another concept, the best such pair each time, as long as that explains more."""
    n_terms = len(chosen)
    for _ in range(100 if n_terms > 1 else 0):
        place, concept = _best_swap(gram, scales, target, spread, positive, chosen, rows, along, slack, left)
        if place < 0:
            return
        chosen[place] = concept
        slack[:] = target
        left[:] = scales
        for term in range(n_terms):
            along[term] = add_concept(gram, chosen[term], term, rows, slack, left)


@compiled
def _best_swap(
    gram: Array,
    scales: Array,
    target: Array,
    spread: float,
    positive: bool,
    chosen: Indices,
    rows: Array,
    along: Array,
    slack: Array,
    left: Array,
) -> tuple[int, int]:
    """Return the term to drop and the concept to take; -1, -1 if no pair explains more than the terms there are."""
    inverse = _invert_factor(chosen, rows)
    best_place, best_concept, most = -1, -1, 0.0
    shared, trial = np.empty(len(slack)), chosen.copy()
    for place in range(len(chosen)):
        # What only this term explains: its least-squares weight, and how much of every concept moves with it.
        weight, precision = 0.0, 0.0
        shared[:] = 0.0
        for row in range(place, len(chosen)):
            value = inverse[row, place]
            weight += value * along[row]
            precision += value * value
            for concept in range(len(shared)):
                shared[concept] += value * rows[row, concept]
        loss = weight * weight / precision
        for concept in range(len(shared)):
            variance = left[concept] + shared[concept] * shared[concept] / precision
            if variance > COLLINEAR * scales[concept]:
                pull = slack[concept] + shared[concept] * weight / precision
                gain = pull * pull / variance - loss
                if gain > most + _SMALLEST_SWAP * spread:
                    trial[:] = chosen
                    trial[place] = concept
                    if positive and not (pull > 0.0 and fits_positive(gram, target, trial)):
                        continue
                    best_place, best_concept, most = place, concept, gain
    return best_place, best_concept


@compiled
def _invert_factor(chosen: Indices, rows: Array) -> Array:
    """Invert the Cholesky factor of the terms' Gram matrix, which stands in ``rows``."""
    n_terms = len(chosen)
    inverse = np.zeros((n_terms, n_terms))
    for column in range(n_terms):
        inverse[column, column] = 1.0 / rows[column, chosen[column]]
        for row in range(column + 1, n_terms):
            value = 0.0
            for between in range(column, row):
                value -= rows[between, chosen[row]] * inverse[between, column]
            inverse[row, column] = value / rows[row, chosen[row]]
    return inverse
