"""Numbers, with what they are of and how exactly they are said; and what holds them against each other."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

# Sums in another order, and numbers of 32 bits.
ROUNDING = 1e-6
NUMBER = r"−?-?\d[\d,]*(?:\.\d+)?(?:e[−+-]?\d+)?"

Key = tuple[object, ...]
"""What a number is of: what is measured, of which result or method, by whom, over which neurons …"""


class Said(NamedTuple):
    """One number as somebody says it; what was meant lies at most ``half`` from it, half of the last digit."""

    key: Key
    value: float
    half: float
    where: str


def exactly(key: Key, value: float | None, where: str) -> Iterator[Said]:
    """Yield a number that is said to the last bit; nothing where it is not known."""
    if value is not None and not math.isnan(value):
        yield Said(key, float(value), 0.0, where)


def printed(key: Key, text: str | None, where: str) -> Iterator[Said]:
    """Yield a number as people read it; nothing for a dash, a question mark and an empty cell."""
    if text in (None, "", "–", "?", "unknown"):
        return
    plain = text.replace("−", "-").replace(",", "").replace("+", "").replace("%", "").strip()
    digits, _, power = plain.partition("e")
    decimals = len(digits.partition(".")[2])
    half = 0.5 * 10.0 ** (int(power or 0) - decimals) if "." in digits or power else 0.0
    yield Said(key, float(plain), half, where)


def significant(key: Key, value: float | str | None, digits: int, where: str) -> Iterator[Said]:
    """Yield a number that is said with so many significant digits."""
    if value is not None:
        number = float(str(value).replace("−", "-"))
        half = 0.5 * 10.0 ** (math.floor(math.log10(abs(number))) + 1 - digits) if number else 0.0
        yield Said(key, number, half, where)


def mean_and_error(key: Key, values: Iterable[float], where: str) -> Iterator[Said]:
    """Yield the mean of some numbers, its standard error, and how many they are."""
    found = np.array(list(values), float)
    yield from exactly(("mean", *key), found.mean() if len(found) else None, where)
    yield from exactly(("sem", *key), found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else None, where)
    yield from exactly(("scored", *key), len(found), where)


def with_error(key: Key, text: str, where: str) -> Iterator[Said]:
    """Yield a mean and its standard error from a text such as 0.50 ± 0.01."""
    mean, _, error = text.partition(" ± ")
    yield from printed(("mean", *key), mean, where)
    yield from printed(("sem", *key), error, where)


def disagreements(said: Iterable[Said]) -> list[str]:
    """Return where two that speak of the same say different numbers."""
    found: dict[Key, list[Said]] = defaultdict(list)
    for one in said:
        found[one.key].append(one)
    return [
        f"{key}: {one.value} in {one.where}, {other.value} in {other.where}"
        for key, all_of_it in found.items()
        for one in [min(all_of_it, key=lambda one: one.half)]
        for other in all_of_it
        if abs(one.value - other.value) > one.half + other.half + ROUNDING * max(1.0, abs(one.value))
    ]


def said_once(said: Iterable[Said]) -> set[Key]:
    """Return what only one place speaks of, so that nothing holds it."""
    places: dict[Key, set[str]] = defaultdict(set)
    for one in said:
        places[one.key].add(one.where)
    return {key for key, where in places.items() if len(where) == 1}


def unknown(text: str) -> bool:
    """Say whether there are numbers in what nobody understood."""
    return bool(re.search(r"\d", text))
