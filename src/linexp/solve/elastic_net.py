"""The elastic net of a whole layer, from moments alone, by coordinate descent to a duality gap."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from linexp._internal.checks import NotConvergedWarning, check_at_least, check_within
from linexp._internal.compiled import Array, compiled, share_neurons
from linexp.solve.coordinate_descent import solve_neurons, subtract


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
    positive: bool = False,
) -> ElasticNetFit:
    """Minimise ½·(v − 2cᵀw + wᵀGw) + ``strength``·(‖w‖₁ + (1 − η)/(2η)·‖w‖²) for each neuron.

    With G, c and v the covariances of standardised columns this is half the mean squared error plus the penalty, the
    problem the paper's released code solves: Eq. 6 with λ = 2n·``strength``/η. A neuron's solution does not depend on
    which other neurons are solved with it.

    Parameters
    ----------
    gram
        Covariance of the concepts G [concepts, concepts], symmetric. A concept of variance 0 gets the weight 0.
    cross
        Covariance of concepts with neurons c [concepts, neurons].
    variance
        Variance v of each neuron [neurons]. A neuron of variance 0 gets the weights 0.
    strength
        Weight of the L1 penalty, λ·η/(2n) for the λ of Eq. 6, 0 or more; 0 gives least squares, of least norm.
    l1_ratio
        η in the paper, above 0 and at most 1; 0 is impossible, as the penalty is in units of its L1 part. At 1 concepts
        that are copies of each other share one weight in no particular way.
    tolerance
        Largest duality gap accepted, as a share of the objective at w = 0.
    max_rounds
        Largest number of growths of the active set.
    positive
        Whether weights below 0 are forbidden; ``strength`` must then be above 0.

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
    if positive:
        check_at_least("strength", strength, 1e-12)
    for name, values in (("gram", gram), ("cross", cross), ("variance", variance)):
        check_finite(name, values)
    ridge = strength * (1 - l1_ratio) / l1_ratio
    targets = np.ascontiguousarray(cross.T)
    weights = np.zeros_like(targets)
    gaps = np.zeros(len(targets))
    gram, variance = np.ascontiguousarray(gram), np.ascontiguousarray(variance)
    scales = gram.diagonal().copy()  # side by side: in the matrix each is a page of memory away from the next
    if strength == 0:  # no dual to take the gap from, and no need to descend
        share_neurons(len(targets), _solve_unpenalised, gram, *_find_directions(gram), targets, weights, gaps)
    else:
        settings = (strength, ridge, tolerance, max_rounds, positive)
        share_neurons(len(targets), solve_neurons, gram, scales, targets, variance, *settings, weights, gaps)
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
    first: int,
    last: int,
    gram: Array,
    columns: Array,
    rows: Array,
    inverse: Array,
    cross: Array,
    weights: Array,
    gaps: Array,
) -> None:
    """Least squares of least norm; the gap is what a step against the rounding left over would still gain."""
    for neuron in range(first, last):
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
        subtract(total, -factors[row], rows[row])
    return total
