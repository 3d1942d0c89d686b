"""Least squares with weights that may not be negative: the fit, and which terms leave all weights above 0.

A nonnegative fit of some concepts is the plain fit of those that keep a weight, whose weights are all above 0. So a
search that only ever looks at sets whose plain weights are above 0 misses no nonnegative explanation.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexp._internal.compiled import Array, Indices, compiled
from linexp.solve.least_squares import UNDEFINED, Sides, correlation, grow, solve

Sign = Literal["any", "positive"]
Flags: TypeAlias = NDArray[np.bool_]
# A concept must pull by this share of the strongest one's first pull to enter: more than rounding.
_SMALLEST_PULL = 1e-10


@compiled
def is_positive(weights: Array, n_terms: int) -> bool:
    """Tell whether the first ``n_terms`` weights are all above 0."""
    return bool((weights[:n_terms] > 0.0).all())


@compiled
def fits_positive(gram: Array, cross: Array, chosen: Indices) -> bool:
    """Tell whether the least-squares weights of these concepts are all above 0."""
    n_terms = len(chosen)
    factor, rotated, weights = np.zeros((n_terms, n_terms)), np.zeros(n_terms), np.zeros(n_terms)
    for term in range(n_terms):
        if not grow(gram, cross, chosen, term, factor, rotated, chosen[term]):
            return False
    solve(factor, rotated, n_terms, weights)
    return is_positive(weights, n_terms)


@compiled
def refit_positive(
    first: int, last: int, sides: Sides, wanted: Indices, concepts: Indices, weights: Array, val_correlation: Array
) -> None:
    """Fit the wanted concepts of many neurons (-1: none) by nonnegative least squares; what gets no weight is out.

    Of concepts that are combinations of others one that enters first stands for them. A correlation that is undefined
    stays as it was.
    """
    for neuron in range(first, last):
        cross, val_cross, val_variance = sides.cross[neuron], sides.val_cross[neuron], sides.val_variance[neuron]
        n_terms = _fit_one(sides.gram, cross, wanted[neuron], concepts[neuron], weights[neuron])
        found = concepts[neuron]
        value = correlation(sides.val_gram, val_cross, val_variance, found, n_terms, weights[neuron])
        if value != UNDEFINED:
            val_correlation[neuron] = value


@compiled
def _fit_one(gram: Array, cross: Array, wanted: Indices, concepts: Indices, weights: Array) -> int:
    """Fill ``concepts`` and ``weights`` from the front in the order wanted; return how many have a weight.

    References
    ----------
    Lawson & Hanson (1974), Solving least squares problems, chapter 23.
    """
    most = len(wanted)
    inside, now, trial = np.zeros(most, np.bool_), np.zeros(most), np.zeros(most)
    smallest = 0.0
    for round_ in range(3 * most):  # each round ends with a better fit; more than one for each concept is rare
        place, pull = _strongest(gram, cross, wanted, inside, now)
        if round_ == 0:
            smallest = _SMALLEST_PULL * pull
        if place < 0 or pull <= smallest:
            break
        inside[place] = True
        if not _solve_inside(gram, cross, wanted, inside, trial):
            inside[place] = False  # a combination of those inside
            break
        while not _step(inside, now, trial):
            _solve_inside(gram, cross, wanted, inside, trial)
    n_terms = 0
    for place in range(most):
        if inside[place] and now[place] > 0.0:
            concepts[n_terms], weights[n_terms] = wanted[place], now[place]
            n_terms += 1
    return n_terms


@compiled
def _strongest(gram: Array, cross: Array, wanted: Indices, inside: Flags, now: Array) -> tuple[int, float]:
    """Return the concept outside whose covariance with what is left, at unit variance, is largest, and that."""
    best, most = -1, 0.0
    for place in range(len(wanted)):
        concept = wanted[place]
        if concept < 0 or inside[place] or gram[concept, concept] <= 0.0:
            continue
        pull = cross[concept]
        for other in range(len(wanted)):
            if inside[other]:
                pull -= gram[concept, wanted[other]] * now[other]
        pull /= np.sqrt(gram[concept, concept])
        if pull > most:
            best, most = place, pull
    return best, float(most)


@compiled
def _solve_inside(gram: Array, cross: Array, wanted: Indices, inside: Flags, trial: Array) -> bool:
    """Write the plain least-squares weights of the concepts inside; False if one is a combination of the others."""
    most = len(wanted)
    factor, rotated, weights = np.zeros((most, most)), np.zeros(most), np.zeros(most)
    chosen, n_terms = np.full(most, -1), 0
    for place in range(most):
        if inside[place]:
            if not grow(gram, cross, chosen, n_terms, factor, rotated, wanted[place]):
                return False
            chosen[n_terms] = wanted[place]
            n_terms += 1
    solve(factor, rotated, n_terms, weights)
    term = 0
    for place in range(most):
        trial[place] = 0.0
        if inside[place]:
            trial[place] = weights[term]
            term += 1
    return True


@compiled
def _step(inside: Flags, now: Array, trial: Array) -> bool:
    """Go from ``now`` towards ``trial`` until a weight is 0, whose concept is then outside. True: all the way."""
    share, ends = 1.0, -1
    for place in range(len(now)):
        if inside[place] and trial[place] <= 0.0:
            reach = now[place] / (now[place] - trial[place]) if now[place] > trial[place] else 0.0
            if ends < 0 or reach < share:
                share, ends = reach, place
    for place in range(len(now)):
        now[place] += share * (trial[place] - now[place])
    if ends < 0:
        return True
    now[ends], inside[ends] = 0.0, False
    return False
