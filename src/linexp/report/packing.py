"""Numbers of a whole layer in little text: quantised between two ends, as base64."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from jaxtyping import Float

_LEVELS = {8: 255, 16: 65535}


def as_base64(values: np.ndarray[Any, np.dtype[Any]], bits: int) -> str:
    """Return whole numbers, each in so many bits, little-endian."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<u{bits // 8}").tobytes()).decode("ascii")


def quantise(
    values: Float[np.ndarray, "neurons n"],
    low: Float[np.ndarray, " neurons"],
    high: Float[np.ndarray, " neurons"],
    bits: int,
) -> str:
    """Return each row of numbers as steps from its low end (0) to its high end (all bits set)."""
    span = np.where(high > low, high - low, 1.0)[:, None]
    steps = np.rint((values - low[:, None]) / span * _LEVELS[bits])
    return as_base64(np.clip(steps, 0, _LEVELS[bits]), bits)


def short(value: float | None, digits: int = 4) -> float | int | None:
    """Return a number with a few significant digits, a whole one as such; ``None`` for what is not known."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded
