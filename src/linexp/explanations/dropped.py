"""Concepts that took no part in explaining: why, and as a CSV file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from linexp._internal.checks import listing
from linexp._internal.files import csv_text, decode_text, read_csv

Reason = Literal["weak", "constant"]
_COLUMNS = ("concept", "reason", "activity", "min_activity", "kept_by")
# Names shown in a line of text; the file holds them all.
_SHOWN = 5


@dataclass(frozen=True)
class DroppedConcept:
    """A concept that took no part in explaining, and why.

    Parameters
    ----------
    concept
        Its name.
    reason
        "weak": its five highest presences among the training images have a mean below ``min_activity``; "constant": it
        is the same in every training image, and no setting keeps it.
    activity
        The mean of its five highest presences among the training images.
    min_activity
        The setting that decided; a weak concept is kept if that is not above ``activity``.
    """

    concept: str
    reason: Reason
    activity: float
    min_activity: float


def tell_dropped(dropped: Sequence[DroppedConcept]) -> list[str]:
    """Say in a sentence for each reason how many concepts were dropped, some of them by name, and what keeps them."""
    weak = [one for one in dropped if one.reason == "weak"]
    constant = [one for one in dropped if one.reason == "constant"]
    told: list[str] = []
    if weak:
        names = listing((f"{one.concept} {_short(one.activity)}" for one in weak), _SHOWN)
        told.append(
            f"{len(weak):,} too weak, the mean of their five highest presences is below {weak[0].min_activity:g} "
            f"({names}); a lower --min-activity keeps them"
        )
    if constant:
        names = listing((one.concept for one in constant), _SHOWN)
        told.append(f"{len(constant):,} constant on the training images ({names})")
    return told


def write_dropped(path: Path, dropped: Sequence[DroppedConcept]) -> None:
    """Write a line for each concept: why it was dropped, its activity, the limit, and the option that keeps it."""
    lines: list[Sequence[object]] = [_COLUMNS]
    for one in dropped:
        keeps = f"--min-activity {one.activity!r}" if one.reason == "weak" else ""
        lines.append((one.concept, one.reason, repr(one.activity), repr(one.min_activity), keeps))
    path.write_bytes(csv_text(lines).encode())


def read_dropped(path: Path) -> tuple[DroppedConcept, ...]:
    """Read what ``write_dropped`` wrote, equal to the last bit.

    Raises
    ------
    ValueError
        It is something else; the message names the line.
    """
    header, lines = read_csv(decode_text(path.read_bytes(), path), path, _ANEW)
    if header != list(_COLUMNS):
        raise ValueError(f"The columns of '{path}' are {listing(header)}, not {', '.join(_COLUMNS)}. {_ANEW}")
    rows = ([cell for cell in line.values() if cell is not None] for _, line in lines)
    return tuple(_read(path, number, cells) for number, cells in enumerate(rows, start=1))


_ANEW = "Make the result anew with linexp explain."


def _read(path: Path, number: int, cells: Sequence[str]) -> DroppedConcept:
    try:
        concept, reason, *numbers = cells[: len(_COLUMNS) - 1]
        activity, min_activity = map(float, numbers)
        if reason in get_args(Reason) and math.isfinite(activity + min_activity):
            return DroppedConcept(concept, cast(Reason, reason), activity, min_activity)
    except ValueError:
        pass
    raise ValueError(f"Concept {number} of '{path}' is {listing(cells)}, which says not why it was dropped. {_ANEW}")


def _short(activity: float) -> str:
    """Write an activity with two digits, rounded down: what is below the limit must not look as if it were not."""
    return f"{math.floor(100 * activity) / 100:.2f}"
