"""Isotonic regression: the sequence nearest to another one that never falls."""

from __future__ import annotations

from collections.abc import Sequence


def pool_adjacent_violators(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Minimise Σ weight·(value − found)² among sequences that never fall.

    Parameters
    ----------
    values
        Finite numbers, in order.
    weights
        As many, each above 0.

    References
    ----------
    Barlow et al., Statistical Inference under Order Restrictions, 1972.
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, length = float(value), float(weight), 1
        while pools and pools[-1][0] > mean:
            before, size, more = pools.pop()
            mean, total, length = (before * size + mean * total) / (size + total), size + total, length + more
        pools.append((mean, total, length))
    return [mean for mean, _, length in pools for _ in range(length)]
