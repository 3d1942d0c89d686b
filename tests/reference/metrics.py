"""The metrics of explanations literally, in loops over images, for one neuron."""

from __future__ import annotations

import math
from typing import Any


def cosine(simulated: Any, recorded: Any) -> float:
    product = sum(s * r for s, r in zip(simulated, recorded, strict=True))
    return product / math.sqrt(sum(s * s for s in simulated) * sum(r * r for r in recorded))


def top(values: Any, share: float) -> Any:
    """Try every threshold between two distinct values; the number above it that is nearest to the share wins."""
    import numpy as np

    wanted = share * len(values)
    counts = [sum(value >= level for value in values) for level in sorted(set(values))[1:]]
    levels = dict(zip(counts, sorted(set(values))[1:], strict=True))
    best = min(sorted(counts), key=lambda count: round(abs(count - wanted), 6))  # 0.07 · 100 is not quite 7
    return np.array([value >= levels[best] for value in values])


def f1(said: Any, active: Any) -> float:
    both = sum(s and a for s, a in zip(said, active, strict=True))
    precision, recall = both / max(sum(said), 1), both / max(sum(active), 1)
    if sum(said) + sum(active) == 0:
        return math.nan
    return 2 * precision * recall / (precision + recall) if both else 0.0


def iou(said: Any, active: Any) -> float:
    either = sum(s or a for s, a in zip(said, active, strict=True))
    return sum(s and a for s, a in zip(said, active, strict=True)) / either if either else math.nan


def average_precision(simulated: Any, active: Any) -> float:
    """Go down the distinct simulated values; each adds the precision so far times the recall it brought."""
    area, found_before = 0.0, 0
    for level in sorted(set(simulated), reverse=True):
        taken = [a for s, a in zip(simulated, active, strict=True) if s >= level]
        area += (sum(taken) - found_before) / sum(active) * sum(taken) / len(taken)
        found_before = sum(taken)
    return area


def area_under_roc(simulated: Any, active: Any) -> float:
    pairs = [
        (s > other) + (s == other) / 2
        for s, a in zip(simulated, active, strict=True)
        for other, also in zip(simulated, active, strict=True)
        if a and not also
    ]
    return sum(pairs) / len(pairs)


def mid_ranks(values: Any) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def spearman(simulated: Any, recorded: Any) -> float:
    first, second = mid_ranks(simulated), mid_ranks(recorded)
    middle = (len(first) + 1) / 2
    product = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    sizes = (sum((rank - middle) ** 2 for rank in ranks) for ranks in (first, second))
    return product / math.sqrt(math.prod(sizes))
