"""Numbers as people read them, with a true minus sign and a dash where there is none, and as files keep them."""

from __future__ import annotations

import math


def format_number(value: float) -> str:
    """Write a number of any size: two decimals where that says something, else two digits and an exponent."""
    plain = value == 0 or 0.01 <= abs(value) < 10_000
    return format_decimals(value, 2) if plain else f"{value:.1e}".replace("-", "−")


def format_decimals(value: float, n_decimals: int) -> str:
    """Write a number with so many decimals."""
    # Adding 0.0 turns the −0.0 that −0.001 is rounded to into 0.0.
    return "–" if math.isnan(value) else f"{round(value, n_decimals) + 0.0:.{n_decimals}f}".replace("-", "−")


def exact(value: float) -> str:
    """Write a number for files, so that it is read again to the last bit; NaN is an empty cell."""
    return "" if math.isnan(value) else repr(value)
