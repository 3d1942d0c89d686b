"""Methods by logical formulas, literally: sets of rows, pairs counted one by one, every partition tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Rows = frozenset[int]
Steps = tuple[tuple[str, int], ...]
Score = Callable[[Rows], float | None]
JOIN: dict[str, Callable[[Rows, Rows, Rows], Rows]] = {
    "and": lambda old, column, every: old & column,
    "and not": lambda old, column, every: old - column,
    "or": lambda old, column, every: old | column,
    "or not": lambda old, column, every: old | (every - column),
}


def auroc(values: Sequence[float], rows: Rows) -> float | None:
    """Share of pairs of a row inside and one outside in which the inner is higher; equal ones count half."""
    inside, outside = [values[row] for row in rows], [v for row, v in enumerate(values) if row not in rows]
    if not inside or not outside:
        return None
    won = sum((one > other) + 0.5 * (one == other) for one in inside for other in outside)
    return won / (len(inside) * len(outside))


def iou(active: Rows, rows: Rows) -> float | None:
    """Intersection over union; ``None`` where they have nothing in common."""
    return len(active & rows) / len(active | rows) if active & rows else None


def beam(
    columns: Sequence[Rows],
    n_rows: int,
    score: Score,
    operators: Sequence[str],
    width: int,
    max_length: int,
    *,
    first_width: int | None = None,
    least: int = 0,
    most: int = 10**9,
    penalty: float = 1.0,
    not_counts: bool = False,
) -> list[tuple[Steps, float]]:
    """Search, and return formulas with their scores (without penalty), the best first."""
    every = frozenset(range(n_rows))
    kept: list[tuple[Steps, Rows, float]] = []
    for step in range(max_length):
        wide = width if step else first_width or width
        joins = operators if step else ["and", *(["and not"] if "or not" in operators else [])]
        found = list(kept)
        for steps, rows, _ in kept if step else [((), every, 0.0)]:
            for number, column in enumerate(columns):
                for join in [one for one in JOIN if one in joins]:
                    new = JOIN[join](rows, column, every)
                    new_steps = (*steps, (join, number))
                    value = score(new)
                    if new == rows or value is None or not least <= len(new) <= most:
                        continue
                    length = len(new_steps) + (sum("not" in one for one, _ in new_steps) if not_counts else 0)
                    found.append((new_steps, new, value * penalty ** (length - 1)))
        found.sort(key=lambda one: -one[2])
        distinct: list[tuple[Steps, Rows, float]] = []
        for one in found:
            if all(one[1] != other[1] for other in distinct):
                distinct.append(one)
        bar = distinct[min(wide, len(distinct)) - 1][2] if distinct else 0.0
        kept = [one for one in distinct if one[2] >= bar][: 2 * wide]
    return [(steps, score(rows) or 0.0) for steps, rows, _ in kept]


def best_formula(
    columns: Sequence[Rows], n_rows: int, score: Score, operators: Sequence[str], max_length: int
) -> float:
    """Return the highest score of all formulas that grow by one column at a time."""
    every = frozenset(range(n_rows))
    level, best = {every}, 0.0
    for step in range(max_length):
        joins = operators if step else ["and", *(["and not"] if "or not" in operators else [])]
        level = {JOIN[join](rows, column, every) for rows in level for column in columns for join in joins}
        best = max([best, *(value for value in map(score, level) if value is not None)])
    return best


def least_scatter(values: Sequence[float], n_clusters: int) -> float:
    """Return the least sum of squared distances to the means of clusters, of all divisions of the sorted values."""
    line = np.sort(np.array(values, dtype=np.float64))
    cuts = combinations(range(1, len(line)), min(n_clusters, len(line)) - 1)
    return min(scatter(np.split(line, list(some))) for some in cuts)


def scatter(clusters: Sequence[NDArray[np.float64]]) -> float:
    """Return the sum of squared distances to the means."""
    return float(sum(((one - one.mean()) ** 2).sum() for one in clusters))
