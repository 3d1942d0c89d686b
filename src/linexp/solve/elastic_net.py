"""The elastic net of a whole layer, from moments alone, by coordinate descent to a duality gap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexp._checks import NotConvergedWarning, check_at_least, check_within
from linexp.solve._compiled import compiled, share_neurons

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


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
        How many neurons stopped with a gap above the tolerance.
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
        Covariance of the concepts G [concepts, concepts], symmetric. A concept of variance 0 gets the weight 0.
    cross
        Covariance of concepts with neurons c [concepts, neurons].
    variance
        Variance v of each neuron [neurons]. A neuron of variance 0 gets the weights 0.
    strength
        Weight of the L1 penalty (λ in the paper), 0 or more; 0 gives least squares, of least norm.
    l1_ratio
        η in the paper, above 0 and at most 1. At 1 concepts that are copies of each other share one weight in no
        particular way.
    tolerance
        Largest duality gap accepted, as a share of the objective at w = 0.
    max_rounds
        Largest number of growths of the active set.

    Raises
    ------
    ValueError
        A setting is outside its range, or a moment is not finite.

    Warns
    -----
    NotConvergedWarning
        Some neurons kept a gap above the tolerance; the message says how many.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), Regularization paths for generalized linear models via coordinate descent;
    the gap: Massias, Gramfort & Salmon (2018), Celer; the jumps to the optimum of known signs: Lee, Battle, Raina &
    Ng (2006), Efficient sparse coding algorithms.
    """
    check_at_least("strength", strength, 0)
    check_within("l1_ratio", l1_ratio, 1e-12, 1)
    for name, values in (("gram", gram), ("cross", cross), ("variance", variance)):
        check_finite(name, values)
    ridge = strength * (1 - l1_ratio) / l1_ratio
    targets = np.ascontiguousarray(cross.T)
    weights = np.zeros_like(targets)
    gaps = np.zeros(len(targets))
    gram, variance = np.ascontiguousarray(gram), np.ascontiguousarray(variance)
    scales = gram.diagonal().copy()  # side by side: in the matrix each is a page of memory away from the next
    # Without a penalty there is no dual to take the gap from, and no need to descend.
    directions = _find_directions(gram) if strength == 0 else None

    def work(part: slice) -> None:
        if directions is not None:
            _solve_unpenalised(gram, *directions, targets[part], weights[part], gaps[part])
        else:
            _solve_neurons(
                gram,
                scales,
                targets[part],
                variance[part],
                strength,
                ridge,
                tolerance,
                max_rounds,
                weights[part],
                gaps[part],
            )

    share_neurons(len(targets), work)
    return report_fit(weights.T, gaps, variance, tolerance)


def report_fit(weights: Array, gaps: Array, variance: Array, tolerance: float) -> ElasticNetFit:
    """Put a solution together and warn, in the name of the caller's caller, if some gap is above the tolerance."""
    n_not_converged = int((gaps > tolerance * np.maximum(variance, np.finfo(float).tiny) / 2).sum())
    if n_not_converged:
        warnings.warn(
            f"The elastic net of {n_not_converged} of {len(gaps)} neurons stopped with a duality gap above "
            f"{tolerance} of its scale (the largest is {gaps.max():.2e}). Raise max_rounds or the tolerance.",
            NotConvergedWarning,
            stacklevel=3,
        )
    return ElasticNetFit(weights, gaps, n_not_converged)


def check_finite(name: str, values: Array) -> None:
    """Raise ``ValueError`` if a moment is NaN or infinite."""
    if not np.isfinite(values.sum()):  # the sum needs no array of flags, and no NaN or infinity gets lost in it
        n_wrong = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"{n_wrong} of {values.size} values of {name} are not finite. Leave constant columns out before "
            "standardising, and look for NaN in the activations and concepts."
        )


def _find_directions(gram: Array) -> tuple[Array, Array, Array]:
    """Return the principal directions of the concepts as columns, as rows, and their inverse variances.

    Variances indistinguishable from rounding count as zero, and so do their inverses: so concepts that repeat each
    other share a weight. A Gram matrix has no negative one; the most negative found shows how far rounding goes.
    """
    variances, vectors = np.linalg.eigh(gram)
    noise = max(len(gram) * float(np.finfo(float).eps) * variances[-1], -2 * variances[0], 0.0)
    kept = variances > noise
    inverse = np.where(kept, 1 / np.where(kept, variances, 1), 0)
    return np.ascontiguousarray(vectors), np.ascontiguousarray(vectors.T), inverse


@compiled
def _solve_unpenalised(
    gram: Array, columns: Array, rows: Array, inverse: Array, cross: Array, weights: Array, gaps: Array
) -> None:
    """Least squares of least norm; the gap is what a step against the rounding left over would still gain."""
    for neuron in range(len(cross)):
        found = _combine(cross[neuron], columns)
        weights[neuron] = _combine(found * inverse, rows)
        left = _combine(cross[neuron] - _combine(weights[neuron], gram), columns)
        for direction in range(len(left)):
            gaps[neuron] += 0.5 * left[direction] ** 2 * inverse[direction]


@compiled
def _combine(factors: Array, rows: Array) -> Array:
    """Return the sum of the rows, each times its factor; always added in the same order."""
    total = np.zeros(rows.shape[1])
    for row in range(len(rows)):
        _subtract(total, -factors[row], rows[row])
    return total


@compiled
def _solve_neurons(
    gram: Array,
    scales: Array,
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
            gram, scales, cross[neuron], variance[neuron], lasso, ridge, tolerance, max_rounds, weights[neuron]
        )


@compiled
def _solve_one(
    gram: Array,
    scales: Array,
    cross: Array,
    variance: float,
    lasso: float,
    ridge: float,
    tolerance: float,
    max_rounds: int,
    weights: Array,
) -> float:
    """Solve for ever more concepts until the duality gap over all is small; ``weights`` is filled in place."""
    active = np.empty(len(cross), np.int64)
    slack = cross.copy()  # covariance of each concept with the part of the neuron not yet explained
    goal = tolerance * variance / 2
    gap = _duality_gap(cross, slack, weights, variance, lasso, ridge)
    for _ in range(max_rounds):
        if gap <= goal:
            break
        n_active, has_grown = _choose_active(scales, slack, weights, lasso, active)
        # Early rounds need only a rough solution: other concepts are about to enter.
        rough = max(0.1 * gap, 0.5 * goal)
        has_moved = _solve_active(gram, cross, slack, active[:n_active], variance, lasso, ridge, rough, weights)
        slack[:] = cross
        for place in range(n_active):
            if weights[active[place]] != 0.0:
                _subtract(slack, float(weights[active[place]]), gram[active[place]])
        gap = _duality_gap(cross, slack, weights, variance, lasso, ridge)
        if not has_moved and not has_grown:
            break  # floating point goes no further
    return gap


@compiled
def _choose_active(scales: Array, slack: Array, weights: Array, lasso: float, active: Indices) -> tuple[int, bool]:
    """Fill ``active`` with the concepts that have weight and those that press hardest to get one.

    Many press while few have entered, most of them only because they resemble one that will; and all that are active
    have to be looked up in the Gram matrix with each other. Hence the bar, which rises until few pass it.
    """
    steepest = 0.0
    n_terms = 0
    for concept in range(len(slack)):
        if weights[concept] != 0.0:
            n_terms += 1
        elif scales[concept] > 0:
            steepest = max(steepest, abs(slack[concept]))
    share = 0.3
    n_active, has_grown = 0, False
    for _ in range(8):
        bar = lasso + share * (steepest - lasso)
        n_active, has_grown = 0, False
        for concept in range(len(slack)):
            enters = steepest > lasso and abs(slack[concept]) >= bar and scales[concept] > 0
            if weights[concept] != 0.0 or enters:
                has_grown = has_grown or weights[concept] == 0.0
                active[n_active] = concept
                n_active += 1
        if n_active <= 3 * n_terms + 16:
            break
        share = (1 + share) / 2
    return n_active, has_grown


@compiled
def _subtract(values: Array, factor: float, other: Array) -> None:
    """Subtract ``factor`` times ``other`` in place; a loop compiles in a tenth of the time of an array expression."""
    for place in range(len(values)):
        values[place] -= factor * other[place]


@compiled
def _solve_active(
    gram: Array,
    cross: Array,
    slack: Array,
    active: Indices,
    variance: float,
    lasso: float,
    ridge: float,
    goal: float,
    weights: Array,
) -> bool:
    """Solve the problem of the active concepts alone to the gap ``goal``; tell whether any weight moved."""
    n_active = len(active)
    inner = np.empty((n_active, n_active))
    target, left, found = np.empty(n_active), np.empty(n_active), np.empty(n_active)
    for row in range(n_active):
        target[row], left[row], found[row] = cross[active[row]], slack[active[row]], weights[active[row]]
        for column in range(n_active):
            inner[row, column] = gram[active[row], active[column]]
    has_moved = False
    n_sweeps = 0
    for _ in range(1000):
        largest, n_terms = _sweep(inner, left, found, lasso, ridge)
        if largest <= 1e-15 * np.sqrt(variance):
            break
        has_moved = True
        if _duality_gap(target, left, found, variance, lasso, ridge) <= goal:
            break
        n_sweeps += 1
        if 6 * n_sweeps > n_terms:  # so many sweeps cost what a jump does: jumps at most double the work
            _jump(inner, left, found, lasso, ridge)
            n_sweeps = 0
    for place in range(n_active):
        weights[active[place]] = found[place]
    return has_moved


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

    With the signs known the optimum is a linear system. Coordinate descent crawls between concepts that are nearly or
    exactly equal, along a valley as flat as the ridge; this crosses it in one step.
    """
    terms = np.flatnonzero(weights)
    slope = np.empty(len(terms))
    for row in range(len(terms)):
        weight = weights[terms[row]]
        slope[row] = slack[terms[row]] - ridge * weight - (lasso if weight > 0 else -lasso)
    step = slope.copy()
    _solve_system(inner, terms, ridge, step)
    change = np.zeros(len(weights))  # of the slack
    gain, curvature = 0.0, 0.0
    for row in range(len(terms)):
        _subtract(change, step[row], inner[terms[row]])
        gain += step[row] * slope[row]
    for row in range(len(terms)):
        curvature += step[row] * (ridge * step[row] - change[terms[row]])
    if not (gain > 0.0 and curvature > 0.0):
        return
    length = gain / curvature  # 1 but for rounding
    first = -1
    for row in range(len(terms)):
        weight = weights[terms[row]]
        if weight * (weight + length * step[row]) <= 0.0:
            length = -weight / step[row]
            first = terms[row]
    for row in range(len(terms)):
        weights[terms[row]] += length * step[row]
    if first >= 0:
        weights[first] = 0.0
    _subtract(slack, -length, change)


@compiled
def _solve_system(inner: Array, terms: Indices, ridge: float, values: Array) -> None:
    """Solve (G + ridge)·x = ``values`` over the terms by Cholesky, in place; a term that others make up gets 0."""
    factor = np.empty((len(terms), len(terms)))
    for row in range(len(terms)):
        for column in range(row + 1):
            left = inner[terms[row], terms[column]]
            for place in range(column):
                left -= factor[row, place] * factor[column, place]
            if column < row:
                factor[row, column] = left / factor[column, column]
            else:
                whole = inner[terms[row], terms[row]] + ridge
                # Dividing by infinity leaves the term out.
                factor[row, row] = np.sqrt(left + ridge) if left + ridge > 1e-13 * whole else np.inf
        for place in range(row):
            values[row] -= factor[row, place] * values[place]
        values[row] /= factor[row, row]
    for row in range(len(terms) - 1, -1, -1):
        values[row] /= factor[row, row]
        for place in range(row):
            values[place] -= factor[row, place] * values[row]


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
