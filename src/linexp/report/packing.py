"""Numbers of a whole layer in little text: quantised between two ends, as base64."""

from __future__ import annotations

import base64
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from jaxtyping import Float

_EXPONENT = 10_000  # from here on the page shows two digits and a power of ten
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
    """Return a number with a few significant digits, a whole one as such; ``None`` for what is not known.

    It has more of them where the page, which shows two decimals, would otherwise not show those of the number itself.
    """
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    while abs(value) < _EXPONENT and _shown(rounded) != _shown(value):
        digits += 1
        rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded


def _shown(value: float) -> Decimal:
    """Return a number as ``toFixed(2)`` of the page's script rounds it."""
    return Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)
