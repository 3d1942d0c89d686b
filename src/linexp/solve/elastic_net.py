"""The elastic net of a whole layer, from moments alone, by coordinate descent to a duality gap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexp._checks import NotConvergedWarning, check_at_least, check_within
from linexp.solve._compiled import compiled, share_neurons

Array = NDArray[np.float64]
JUMP = True


@dataclass(frozen=True, eq=False)
class ElasticNetFit:
    """Solutions of the elastic net, one column per neuron.

    Parameters
    ----------
    weights
        Optimal weights [concepts, neurons].
    gaps
        Duality gap of each neuron: its objective is above the optimum by at most this much.
    n_not_converged
        How many neurons stopped at ``max_rounds`` with a gap above the tolerance.
    """

    weights: Array
    gaps: Array
    n_not_converged: int


def solve_elastic_net(
    gram: Array,
    cross: Array,
    variance: Array,
    *,
    strength: float = 0.05,
    l1_ratio: float = 0.99,
    tolerance: float = 1e-6,
    max_rounds: int = 1000,
) -> ElasticNetFit:
    """Minimise ½·(v − 2cᵀw + wᵀGw) + ``strength``·(‖w‖₁ + (1 − η)/(2η)·‖w‖²) for each neuron.

    With G, c and v the covariances of standardised columns this is half the mean squared error plus the penalty, the
    problem the paper's released code solves (Eq. 6 up to its constants). A neuron's solution does not depend on which
    other neurons are solved with it.

    Parameters
    ----------
    gram
        Covariance of the concepts G [concepts, concepts], symmetric.
    cross
        Covariance of concepts with neurons c [concepts, neurons].
    variance
        Variance v of each neuron [neurons].
    strength
        Weight of the L1 penalty (λ in the paper), 0 or more; 0 gives least squares.
    l1_ratio
        η in the paper, above 0 and at most 1.
    tolerance
        Largest duality gap accepted, as a share of the objective at w = 0.
    max_rounds
        Largest number of growths of the active set.

    Warns
    -----
    NotConvergedWarning
        Some neurons kept a gap above the tolerance; the message says how many.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), Regularization paths for generalized linear models via coordinate descent;
    the gap: Massias, Gramfort & Salmon (2018), Celer.
    """
    check_at_least("strength", strength, 0)
    check_within("l1_ratio", l1_ratio, 1e-12, 1)
    if strength == 0:  # the dual that the gap comes from degenerates; the solution of least norm is exact
        weights = np.linalg.lstsq(gram, cross, rcond=None)[0].astype(np.float64)
        return ElasticNetFit(weights, np.zeros(cross.shape[1]), 0)
    ridge = strength * (1 - l1_ratio) / l1_ratio
    targets = np.ascontiguousarray(cross.T)
    weights = np.zeros_like(targets)
    gaps = np.zeros(len(targets))
    gram, variance = np.ascontiguousarray(gram), np.ascontiguousarray(variance)

    def work(part: slice) -> None:
        _solve_neurons(
            gram, targets[part], variance[part], strength, ridge, tolerance, max_rounds, weights[part], gaps[part]
        )

    share_neurons(len(targets), work)
    n_not_converged = int((gaps > tolerance * np.maximum(variance, np.finfo(float).tiny) / 2).sum())
    if n_not_converged:
        warnings.warn(
            f"The elastic net of {n_not_converged} of {len(gaps)} neurons stopped with a duality gap above "
            f"{tolerance} of its scale (the largest is {gaps.max():.2e}). Raise max_rounds or the tolerance.",
            NotConvergedWarning,
            stacklevel=2,
        )
    return ElasticNetFit(weights.T, gaps, n_not_converged)


@compiled
def _solve_neurons(
    gram: Array,
    cross: Array,
    variance: Array,
    lasso: float,
    ridge: float,
    tolerance: float,
    max_rounds: int,
    weights: Array,
    gaps: Array,
) -> None:
    for neuron in range(len(cross)):
        gaps[neuron] = _solve_one(
            gram, cross[neuron], variance[neuron], lasso, ridge, tolerance, max_rounds, weights[neuron]
        )


@compiled
def _solve_one(
    gram: Array,
    cross: Array,
    variance: float,
    lasso: float,
    ridge: float,
    tolerance: float,
    max_rounds: int,
    weights: Array,
) -> float:
    """Grow an active set until the duality gap over all concepts is small; ``weights`` is filled in place."""
    n_concepts = len(cross)
    active = np.empty(n_concepts, np.int64)
    is_active = np.zeros(n_concepts, np.bool_)
    n_active = 0
    slack = cross.copy()  # covariance of each concept with the part of the neuron not yet explained
    goal = tolerance * variance / 2
    gap = _duality_gap(cross, slack, weights, variance, lasso, ridge)
    for _ in range(max_rounds):
        if gap <= goal:
            break
        n_before = n_active
        for concept in range(n_concepts):
            if not is_active[concept] and abs(slack[concept]) > lasso and gram[concept, concept] > 0:
                is_active[concept] = True
                active[n_active] = concept
                n_active += 1
        # Early rounds need only a rough solution: the active set is about to grow.
        moved = _descend(
            gram, cross, slack, active[:n_active], variance, lasso, ridge, max(0.1 * gap, 0.5 * goal), weights
        )
        slack[:] = cross
        for place in range(n_active):
            concept = active[place]
            if weights[concept] != 0.0:
                _subtract(slack, float(weights[concept]), gram[concept])
        gap = _duality_gap(cross, slack, weights, variance, lasso, ridge)
        if not moved and n_active == n_before:
            break  # the limit of floating point
    return gap


@compiled
def _subtract(values: Array, factor: float, other: Array) -> None:
    """Subtract ``factor`` times ``other`` in place; a loop compiles in a tenth of the time of an array expression."""
    for place in range(len(values)):
        values[place] -= factor * other[place]


@compiled
def _descend(
    gram: Array,
    cross: Array,
    slack: Array,
    active: NDArray[np.int64],
    variance: float,
    lasso: float,
    ridge: float,
    goal: float,
    weights: Array,
) -> bool:
    """Solve the problem of the active concepts alone to the gap ``goal``; tell whether that moved any weight."""
    n_active = len(active)
    inner = np.empty((n_active, n_active))
    cross_here, here, found = np.empty(n_active), np.empty(n_active), np.empty(n_active)
    for row in range(n_active):
        cross_here[row], here[row], found[row] = cross[active[row]], slack[active[row]], weights[active[row]]
        for column in range(n_active):
            inner[row, column] = gram[active[row], active[column]]
    n_since = 0
    moved = False
    for _ in range(1000):
        largest, n_terms = _sweep(inner, here, found, lasso, ridge)
        moved = moved or largest > 1e-15 * np.sqrt(variance)
        if largest <= 1e-15 * np.sqrt(variance):
            break
        if _duality_gap(cross_here, here, found, variance, lasso, ridge) <= goal:
            break
        n_since += 1
        # A jump costs about as much as n_terms / 6 sweeps: this way jumps at most double the work.
        if JUMP and 6 * n_since > n_terms:
            _jump(inner, here, found, lasso, ridge)
            n_since = 0
    for place in range(n_active):
        weights[active[place]] = found[place]
    return moved


@compiled
def _sweep(inner: Array, slack: Array, weights: Array, lasso: float, ridge: float) -> tuple[float, int]:
    """Make each weight optimal in turn; return the largest change of the prediction and the number of terms."""
    largest = 0.0
    n_terms = 0
    for place in range(len(weights)):
        scale = inner[place, place]
        before = weights[place]
        pull = slack[place] + scale * before
        size = max(abs(pull) - lasso, 0.0) / (scale + ridge)
        after = size if pull > 0 else -size
        if after != before:
            weights[place] = after
            _subtract(slack, after - before, inner[place])
            largest = max(largest, abs(after - before) * np.sqrt(scale))
        if after != 0.0:
            n_terms += 1
    return largest, n_terms


@compiled
def _jump(inner: Array, slack: Array, weights: Array, lasso: float, ridge: float) -> None:
    """Go to the optimum that the present signs allow, or towards it until the first weight reaches zero.

    With the signs known the problem is a linear system. Coordinate descent crawls between concepts nearly or exactly
    equal, along a valley as flat as the ridge; this crosses it in one step.
    """
    terms = np.empty(len(weights), np.int64)
    n_terms = 0
    for place in range(len(weights)):
        if weights[place] != 0.0:
            terms[n_terms] = place
            n_terms += 1
    terms = terms[:n_terms]
    step = np.empty(n_terms)
    for row in range(n_terms):
        weight = weights[terms[row]]
        step[row] = slack[terms[row]] - ridge * weight - (lasso if weight > 0 else -lasso)
    slope = step.copy()
    _solve_system(inner, terms, ridge, step)
    change = np.zeros(len(weights))
    downhill = 0.0
    curvature = 0.0
    for row in range(n_terms):
        _subtract(change, -step[row], inner[terms[row]])
        downhill += step[row] * slope[row]
    first = -1
    for row in range(n_terms):
        curvature += step[row] * (change[terms[row]] + ridge * step[row])
    if not (downhill > 0.0 and curvature > 0.0):
        return
    length = downhill / curvature  # 1 but for rounding
    for row in range(n_terms):
        weight = weights[terms[row]]
        if weight * (weight + length * step[row]) <= 0.0:
            length = -weight / step[row]
            first = row
    for row in range(n_terms):
        weights[terms[row]] += length * step[row]
    if first >= 0:
        weights[terms[first]] = 0.0
    _subtract(slack, length, change)


@compiled
def _solve_system(inner: Array, terms: NDArray[np.int64], ridge: float, values: Array) -> None:
    """Solve (G + ridge) x = ``values`` over the terms, by Cholesky, in place; a term that others repeat gets 0."""
    n_terms = len(terms)
    factor = np.empty((n_terms, n_terms))
    for row in range(n_terms):
        for column in range(n_terms):
            factor[row, column] = inner[terms[row], terms[column]]
    for row in range(n_terms):
        whole = inner[terms[row], terms[row]] + ridge
        left = factor[row, row] + ridge
        # Dividing by infinity leaves the term out.
        factor[row, row] = np.sqrt(left) if left > 1e-13 * whole else np.inf
        factor[row, row + 1 :] /= factor[row, row]
        values[row] /= factor[row, row]
        _subtract(values[row + 1 :], values[row], factor[row, row + 1 :])
        for below in range(row + 1, n_terms):
            _subtract(factor[below, below:], factor[row, below], factor[row, below:])
    for row in range(n_terms - 1, -1, -1):
        for column in range(row + 1, n_terms):
            values[row] -= factor[row, column] * values[column]
        values[row] /= factor[row, row]


@compiled
def _duality_gap(cross: Array, slack: Array, weights: Array, variance: float, lasso: float, ridge: float) -> float:
    """Return primal minus dual objective, the ridge taken as extra rows of the design."""
    steepest = 0.0
    residual = variance  # squared length of what is left of the (extended) target
    along = variance  # its product with the target
    size = 0.0
    for concept in range(len(cross)):
        weight = weights[concept]
        steepest = max(steepest, abs(slack[concept] - ridge * weight))
        residual -= weight * (cross[concept] + slack[concept]) - ridge * weight * weight
        along -= weight * cross[concept]
        size += abs(weight)
    shrink = 1.0 if steepest <= lasso else lasso / steepest
    return 0.5 * residual * (1 + shrink * shrink) + lasso * size - shrink * along
