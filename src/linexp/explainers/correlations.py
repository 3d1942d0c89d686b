"""Correlations of predicted with recorded activations, for methods that look at what they predict."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def correlate(simulated: Tensor, recorded: Tensor) -> list[float | None]:
    """Return the correlation of each column with the other's; ``None`` where one is constant."""
    values: list[float | None] = []
    for pair in zip(simulated.T.to(torch.float64), recorded.T.to(torch.float64), strict=True):
        left, right = (column - column.mean() for column in pair)
        value = float(left @ right / (left.norm() * right.norm()))
        values.append(value if math.isfinite(value) else None)
    return values
