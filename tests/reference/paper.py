"""The paper, literally: float64, loops, rows kept. Slow twins of everything that is fast in the package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def standardise(values: Array, train: Array) -> Array:
    """Subtract the mean and divide by the standard deviation of the training rows."""
    result = np.empty_like(values, dtype=np.float64)
    for column in range(values.shape[1]):
        mean, deviation = train[:, column].mean(), train[:, column].std()
        result[:, column] = (values[:, column] - mean) / deviation
    return result


def objective(weights: Array, concepts: Array, neuron: Array, strength: float, l1_ratio: float) -> float:
    """Half the mean squared error of standardised rows plus the elastic-net penalty (Eq. 6, the code's constants)."""
    residual = neuron - concepts @ weights
    ridge = (1 - l1_ratio) / (2 * l1_ratio)
    return 0.5 * float(np.mean(residual**2)) + strength * float(np.abs(weights).sum() + ridge * (weights**2).sum())


def least_squares(concepts: Array, neuron: Array) -> tuple[Array, float]:
    """Weights and bias of the best fit (Eq. 7, with the bias the released code fits)."""
    design = np.column_stack([concepts, np.ones(len(concepts))])
    solution = np.linalg.lstsq(design, neuron, rcond=None)[0]
    return solution[:-1], float(solution[-1])


def correlation(first: Array, second: Array) -> float:
    """Mean product of the two, each normalised to mean 0 and deviation 1 (Eq. 10); NaN if one does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    unit = [(side - side.mean()) / side.std() for side in (first, second)]
    return float(np.mean(unit[0] * unit[1]))


def simulate(terms: Sequence[tuple[int, float]], bias: float, concepts: Array) -> Array:
    """Weighted sum of concepts (Eq. 9)."""
    result = np.full(len(concepts), bias)
    for image in range(len(concepts)):
        for concept, weight in terms:
            result[image] += weight * concepts[image, concept]
    return result


def greedy(
    guide: Array,
    train: tuple[Array, Array],
    val: tuple[Array, Array],
    max_terms: int,
    n_candidates: int,
    min_gain: float,
    *,
    with_zeros: bool = True,
    noise: float = 0.0,
) -> tuple[list[int], float]:
    """Algorithm 1 for one neuron, line by line: the selected concepts and the validation correlation reached.

    Without zeros concepts of weight zero are bad from the start. The first correlation must be above the noise.
    """
    selected: list[int] = []
    bad = set() if with_zeros else set(np.flatnonzero(guide == 0).tolist())
    best = 0.0
    while len(selected) < max_terms:
        candidates: list[int] = []
        while len(candidates) < n_candidates:
            left = [c for c in range(len(guide)) if c not in candidates and c not in selected and c not in bad]
            if not left:
                break
            candidates.append(max(left, key=lambda concept: guide[concept]))  # of equal ones the first
        round_best, winner = best, -1
        for candidate in candidates:
            columns = [*selected, candidate]
            weights, bias = least_squares(train[0][:, columns], train[1])
            reached = correlation(val[0][:, columns] @ weights + bias, val[1])
            if not reached >= best + min_gain:  # NaN is a shortfall too
                bad.add(candidate)
            elif reached > round_best:
                round_best, winner = reached, candidate
        if winner < 0 or round_best < best + min_gain or (not selected and round_best <= noise):
            break
        selected.append(winner)
        best = round_best
    return selected, best
