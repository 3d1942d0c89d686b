"""Which concepts stand for terms: of those that mean the same one, of those that do as well the preferred one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from linexp._internal.compiled import Array, Indices
from linexp.solve.least_squares import COLLINEAR, Solution
from linexp.solve.moments import Moments

Alike = Callable[[Indices], Bool[NDArray[np.bool_], "terms terms"]]
"""From some concepts to which of them mean the same, each with each."""


def merge_alike(train: Moments, found: Indices, alike: Alike) -> tuple[Indices, list[dict[int, list[int]]]]:
    """Leave one of the terms that mean the same, for each neuron.

    As long as two of the concepts found [neurons, terms] mean the same, the one of such whose absence raises the
    training error least goes.

    Returns
    -------
    wanted
        The concepts that stay [neurons, terms], padded with -1.
    merged
        For each neuron, from a concept that stays to those that it stands for, in the order in which they went.
    """
    gram, cross = train.gram.numpy(), train.cross.numpy()
    wanted = found.copy()
    merged: list[dict[int, list[int]]] = []
    for neuron, row in enumerate(wanted):
        rest = row[row >= 0]
        same = alike(rest) & ~np.eye(len(rest), dtype=bool)
        stands: dict[int, list[int]] = {}
        while same.any():
            losses = _losses(gram[np.ix_(rest, rest)], cross[rest, neuron])
            goes = int(np.argmin(np.where(same.any(1), losses, np.inf)))
            stays = int(rest[np.argmax(np.where(same[goes], losses, -np.inf))])
            gone = int(rest[goes])
            stands[stays] = [*stands.get(stays, []), gone, *stands.pop(gone, [])]
            rest, same = np.delete(rest, goes), np.delete(np.delete(same, goes, 0), goes, 1)
        row[:] = -1
        row[: len(rest)] = rest
        merged.append(stands)
    return wanted, merged


def _losses(gram: Array, cross: Array) -> Array:
    """Return by how much the squared error rises where one of the terms is left out."""
    inverse = np.linalg.inv(gram)
    return (inverse @ cross) ** 2 / inverse.diagonal()


def prefer_words(
    together: Moments, solution: Solution, better: Callable[[int], Mapping[int, float]], *, positive: bool = False
) -> Indices:
    """Replace terms by preferred concepts that do as well but for one standard error.

    Each term in turn, the weightiest first, gives way to the most preferred concept with which the correlation, on the
    images of ``together``, falls by no more than the standard error of the difference of the two correlations, as it is
    for columns of normal distribution, and whose weight has the same sign. With ``positive`` all weights must stay
    above 0.

    Parameters
    ----------
    together
        Moments of all images that may be looked at.
    solution
        What was found.
    better
        From a concept to those preferred to it, each with a rank; the lowest is preferred most.

    Returns
    -------
    wanted
        The concepts [neurons, terms], padded with -1.

    References
    ----------
    Steiger (1980), Tests for comparing elements of a correlation matrix, Eq. 3 (the difference of two correlations
    that share a variable; Olkin & Siotani 1976).
    """
    gram, cross, variance = together.gram.numpy(), together.cross.numpy(), together.neuron_variance.numpy()
    wanted = solution.concepts.copy()
    for neuron, row in enumerate(wanted):
        n_terms = int((row >= 0).sum())
        for place in np.argsort(-np.abs(solution.weights[neuron, :n_terms]), kind="stable").tolist():
            ranks = better(int(row[place]))
            candidates = np.array(sorted(set(ranks) - set(row.tolist()), key=lambda one: (ranks[one], one)), np.int64)
            if len(candidates):
                rest = np.delete(row[:n_terms], place)
                own = (gram, cross[:, neuron])
                near = _as_good(*own, variance[neuron], rest, row[place], candidates, together.n_images)
                allowed = (one for one in candidates[near].tolist() if not positive or _above(*own, rest, one))
                row[place] = next(allowed, row[place])
    return wanted


def _as_good(
    gram: Array, cross: Array, variance: float, rest: Indices, old: int, new: Indices, n_images: int
) -> NDArray[np.bool_]:
    """Tell for each of ``new`` whether, beside the others, it does as well as the old one but for a standard error."""
    both = np.concatenate([[old], new])
    inner = np.linalg.inv(gram[np.ix_(rest, rest)])
    shared = gram[np.ix_(rest, both)]
    explained = float(cross[rest] @ inner @ cross[rest])
    left = gram[both, both] - np.einsum("rc,rs,sc->c", shared, inner, shared)
    varies = left > COLLINEAR * gram[both, both]
    scale = np.sqrt(np.where(varies, left, np.inf))
    along = (cross[both] - shared.T @ inner @ cross[rest]) / scale
    together = (gram[old, both] - shared[:, 0] @ inner @ shared) / scale[0] / scale
    fitted = explained + along**2  # the variance of each fit, and its covariance with the neuron
    old_r, new_r = np.sqrt(fitted[0] / variance), np.sqrt(fitted / variance)
    between = (explained + along[0] * along * together) / np.sqrt(np.maximum(fitted[0] * fitted, 1e-300))
    as_good = old_r - new_r <= _difference_error(old_r, new_r, between, n_images)
    return (varies & as_good & (along * along[0] > 0))[1:]


def _difference_error(first: float, others: Array, between: Array, n_images: int) -> Array:
    """Return the standard error of the difference of two correlations with the same neuron."""
    one, two, both = first, others, np.clip(between, -1, 1)
    shared = both * (1 - one**2 - two**2) - one * two * (1 - one**2 - two**2 - both**2) / 2
    spread = (1 - one**2) ** 2 + (1 - two**2) ** 2 - 2 * shared
    return np.sqrt(np.maximum(spread, 0) / n_images)


def _above(gram: Array, cross: Array, rest: Indices, new: int) -> bool:
    """Tell whether all weights are above 0."""
    chosen = [*rest.tolist(), new]
    return bool((np.linalg.solve(gram[np.ix_(chosen, chosen)], cross[chosen]) > 0).all())
