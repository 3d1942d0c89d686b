"""The paper's greedy search (Algorithm 1) and ours for all neurons at once, each least-squares fit exact."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp.solve.least_squares import UNDEFINED, Sides, Solution, correlation, grow, noise_of, solve
from linexp.solve.moments import Moments
from linexp.solve.nonnegative import Sign, is_positive


def search_greedy(
    train: Moments,
    val: Moments,
    guide: Array,
    *,
    max_terms: int = 10,
    n_candidates: int = 10,
    min_gain: float = 0.02,
    sign: Sign = "any",
) -> Solution:
    """Add, one after the other, the candidate whose fit correlates best with the neuron on the validation images.

    Algorithm 1 to the letter. Candidates are the ``n_candidates`` concepts of largest (signed) guide weight that are
    neither chosen nor discarded: those of weight zero, in their order, come before those of negative weight. Each term,
    also the first, must add ``min_gain`` to the correlation; a candidate that falls short of it is discarded for good.
    A neuron none of whose first candidates reaches it gets no term. Each neuron's result is its own: it does not depend
    on the others.

    Parameters
    ----------
    train, val
        Moments of the same columns over the training and the validation images.
    guide
        Weights that rank the candidates [concepts, neurons]: the elastic net's.
    max_terms
        Most terms per neuron (v in the paper).
    n_candidates
        Candidates tried for each term (r in the paper).
    min_gain
        Gain in validation correlation asked of each term (ε in the paper).
    sign
        "positive": a candidate beside which some weight would not be above 0 falls short.

    References
    ----------
    Paper, Section 3.2.2, Algorithm 1 and Appendix A.3.
    """
    ranked = _rank(guide.T, n_candidates * max_terms, with_zeros=True)
    return _search(train, val, ranked, max_terms, n_candidates, min_gain, 0.0, sign == "positive")


def search_greedy_nonzero(
    train: Moments,
    val: Moments,
    guide: Array,
    *,
    max_terms: int = 10,
    n_candidates: int = 10,
    min_gain: float = 0.02,
    sign: Sign = "any",
) -> Solution:
    """Do what ``search_greedy`` does, but among concepts that have guide weight, and beyond noise.

    Concepts of weight zero are no candidates, so those of negative weight are reached; and the correlation of the first
    term must also be above its standard error (``noise_of``). Parameters as in ``search_greedy``.
    """
    ranked = _rank(guide.T, n_candidates * max_terms, with_zeros=False)
    return _search(train, val, ranked, max_terms, n_candidates, min_gain, noise_of(val.n_images), sign == "positive")


def _rank(guide: Array, most: int, *, with_zeros: bool) -> Indices:
    """Return the concepts of largest weight, the largest first, equal ones in their order, padded with -1.

    Those beyond ``most`` are never tried, if that is the number of candidates of a round times that of rounds.
    """
    ranked = np.full((len(guide), min(most, guide.shape[1])), -1)
    share_neurons(len(guide), _rank_neurons, np.ascontiguousarray(guide), with_zeros, ranked)
    return ranked


@compiled
def _rank_neurons(first: int, last: int, guide: Array, with_zeros: bool, ranked: Indices) -> None:
    for neuron in range(first, last):
        weights, n_ranked = guide[neuron], 0
        for wanted in (1, 0, -1):  # the sign of the weights
            some = np.empty(len(weights), np.int64)
            n_found = 0
            for concept in range(len(weights)):
                if np.sign(weights[concept]) == wanted and (with_zeros or wanted != 0):
                    some[n_found] = concept
                    n_found += 1
            some = some[:n_found]
            if wanted != 0:
                some = some[np.argsort(-weights[some], kind="mergesort")]  # the stable one
            n_taken = min(n_found, len(ranked[neuron]) - n_ranked)
            ranked[neuron, n_ranked : n_ranked + n_taken] = some[:n_taken]
            n_ranked += n_taken


def _search(
    train: Moments,
    val: Moments,
    ranked: Indices,
    max_terms: int,
    n_candidates: int,
    min_gain: float,
    noise: float,
    positive: bool,
) -> Solution:
    solution = Solution.empty(len(ranked), min(max_terms, len(train.gram)))
    sides = Sides.of(train, val)
    settings = (n_candidates, min_gain, noise, positive)
    share_neurons(len(ranked), _search_neurons, sides, ranked, *settings, *solution.parts)
    return solution


@compiled
def _search_neurons(
    first: int,
    last: int,
    sides: Sides,
    ranked: Indices,
    n_candidates: int,
    min_gain: float,
    noise: float,
    positive: bool,
    concepts: Indices,
    weights: Array,
    val_correlation: Array,
) -> None:
    for neuron in range(first, last):
        settings = (n_candidates, min_gain, noise, positive)
        found = _search_one(sides, neuron, ranked[neuron], *settings, concepts[neuron], weights[neuron])
        val_correlation[neuron] = found


@compiled
def _search_one(
    sides: Sides,
    neuron: int,
    ranked: Indices,
    n_candidates: int,
    min_gain: float,
    noise: float,
    positive: bool,
    chosen: Indices,
    weights: Array,
) -> float:
    """Search for one neuron; fills ``chosen`` and ``weights`` from the front, returns the validation correlation."""
    gram, cross = sides.gram, sides.cross[neuron]
    val_cross, val_variance = sides.val_cross[neuron], sides.val_variance[neuron]
    most = len(chosen)
    factor = np.zeros((most, most))
    rotated = np.zeros(most)
    trial = np.zeros(most)
    open_ = ranked >= 0
    reached = 0.0
    for n_terms in range(most):
        best = -1
        best_correlation = reached
        n_tried = 0
        for rank in range(len(ranked)):
            if n_tried == n_candidates:
                break
            if not open_[rank]:
                continue
            n_tried += 1
            value = UNDEFINED
            chosen[n_terms] = ranked[rank]
            if grow(gram, cross, chosen, n_terms, factor, rotated, ranked[rank]):
                solve(factor, rotated, n_terms + 1, trial)
                if not positive or is_positive(trial, n_terms + 1):
                    value = correlation(sides.val_gram, val_cross, val_variance, chosen, n_terms + 1, trial)
            if value > best_correlation:
                best = rank
                best_correlation = value
            if value < reached + min_gain:
                open_[rank] = False
        chosen[n_terms] = -1
        if best < 0 or best_correlation < reached + min_gain or (n_terms == 0 and best_correlation <= noise):
            break
        open_[best] = False
        chosen[n_terms] = ranked[best]
        grow(gram, cross, chosen, n_terms, factor, rotated, ranked[best])
        solve(factor, rotated, n_terms + 1, weights)
        reached = best_correlation
    return reached if chosen[0] >= 0 else np.nan
