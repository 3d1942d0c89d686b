"""Coordinate descent for the elastic net of one neuron on moments: active sets, jumps, duality gap."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled


@compiled
def solve_neurons(
    first: int,
    last: int,
    gram: Array,
    scales: Array,
    cross: Array,
    variance: Array,
    lasso: float,
    ridge: float,
    tolerance: float,
    max_rounds: int,
    positive: bool,
    weights: Array,
    gaps: Array,
) -> None:
    """Solve for ever more concepts until the duality gap over all is small; ``weights`` and ``gaps`` are filled."""
    for neuron in range(first, last):
        target, spread, found = cross[neuron], variance[neuron], weights[neuron]
        active = np.empty(len(target), np.int64)
        slack = target.copy()  # covariance of each concept with the part of the neuron not yet explained
        goal = tolerance * spread / 2  # without any term the objective is half the variance
        gap = _duality_gap(target, slack, found, spread, lasso, ridge, positive)
        for _ in range(max_rounds):
            if gap <= goal:
                break
            n_active, has_grown = _choose_active(scales, slack, found, lasso, positive, active)
            # Early rounds need only a rough solution: other concepts are about to enter.
            rough = max(0.1 * gap, 0.5 * goal)
            some = active[:n_active]
            has_moved = _solve_active(gram, target, slack, some, spread, lasso, ridge, rough, positive, found)
            slack[:] = target
            for place in range(n_active):
                if found[active[place]] != 0.0:
                    subtract(slack, float(found[active[place]]), gram[active[place]])
            gap = _duality_gap(target, slack, found, spread, lasso, ridge, positive)
            if not has_moved and not has_grown:
                break  # floating point goes no further
        gaps[neuron] = gap


@compiled
def _choose_active(
    scales: Array, slack: Array, weights: Array, lasso: float, positive: bool, active: Indices
) -> tuple[int, bool]:
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
            steepest = max(steepest, _pull(slack[concept], positive))
    share = 0.3
    n_active, has_grown = 0, False
    for _ in range(8):
        bar = lasso + share * (steepest - lasso)
        n_active, has_grown = 0, False
        for concept in range(len(slack)):
            enters = steepest > lasso and _pull(slack[concept], positive) >= bar and scales[concept] > 0
            if weights[concept] != 0.0 or enters:
                has_grown = has_grown or weights[concept] == 0.0
                active[n_active] = concept
                n_active += 1
        if n_active <= 3 * n_terms + 16:
            break
        share = (1 + share) / 2
    return n_active, has_grown


@compiled
def _pull(slack: float, positive: bool) -> float:
    """Return how hard a concept presses to get a weight; one that may only be positive does not press downwards."""
    return slack if positive else abs(slack)


@compiled
def subtract(values: Array, factor: float, other: Array) -> None:
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
    positive: bool,
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
        largest, n_terms = _sweep(inner, left, found, lasso, ridge, positive)
        if largest <= 1e-15 * np.sqrt(variance):
            break
        has_moved = True
        if _duality_gap(target, left, found, variance, lasso, ridge, positive) <= goal:
            break
        n_sweeps += 1
        if 6 * n_sweeps > n_terms:  # so many sweeps cost what a jump does: jumps at most double the work
            jump(inner, left, found, lasso, ridge)
            n_sweeps = 0
    for place in range(n_active):
        weights[active[place]] = found[place]
    return has_moved


@compiled
def _sweep(inner: Array, slack: Array, weights: Array, lasso: float, ridge: float, positive: bool) -> tuple[float, int]:
    """Make each weight optimal in turn; return the largest change of the prediction and the number of terms."""
    largest = 0.0
    n_terms = 0
    for place in range(len(weights)):
        scale = inner[place, place]
        before = weights[place]
        pull = slack[place] + scale * before
        size = max(abs(pull) - lasso, 0.0) / (scale + ridge)
        after = size if pull > 0 else 0.0 if positive else -size
        if after != before:
            weights[place] = after
            subtract(slack, after - before, inner[place])
            largest = max(largest, abs(after - before) * np.sqrt(scale))
        if after != 0.0:
            n_terms += 1
    return largest, n_terms


@compiled
def jump(inner: Array, slack: Array, weights: Array, lasso: float, ridge: float) -> None:
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
    solve_system(inner, terms, ridge, step)
    change = np.zeros(len(weights))  # of the slack
    gain, curvature = 0.0, 0.0
    for row in range(len(terms)):
        subtract(change, step[row], inner[terms[row]])
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
    subtract(slack, -length, change)


@compiled
def solve_system(inner: Array, terms: Indices, ridge: float, values: Array) -> None:
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
def _duality_gap(
    cross: Array, slack: Array, weights: Array, variance: float, lasso: float, ridge: float, positive: bool
) -> float:
    """Return primal minus dual objective, the ridge taken as extra rows of the design."""
    steepest = 0.0
    residual = variance  # squared length of what is left of the (extended) target
    along = variance  # its product with the target
    size = 0.0
    for concept in range(len(cross)):
        weight = weights[concept]
        steepest = max(steepest, _pull(slack[concept] - ridge * weight, positive))
        residual -= weight * (cross[concept] + slack[concept]) - ridge * weight * weight
        along -= weight * cross[concept]
        size += abs(weight)
    shrink = 1.0 if steepest <= lasso else lasso / steepest
    return 0.5 * residual * (1 + shrink * shrink) + lasso * size - shrink * along
