"""Anybody's explanations: a neuron and a text, in CSV or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

NEURON_COLUMNS = ("neuron", "unit")
TEXT_COLUMNS = ("description", "text", "explanation", "label", "concept")


class Pair(NamedTuple):
    """A neuron and what somebody said of it."""

    neuron: int
    text: str


def plain_columns(header: Sequence[str]) -> tuple[str, str] | None:
    """Return the columns of neuron and text; ``None`` if there are none.

    The text may stand in any column if there are only two.
    """
    neuron = next((column for column in NEURON_COLUMNS if column in header), None)
    if neuron is None:
        return None
    others = [column for column in header if column != neuron]
    if len(others) == 1:
        return neuron, others[0]
    text = next((column for column in TEXT_COLUMNS if column in header), None)
    return None if text is None else (neuron, text)


def is_headless(header: Sequence[str]) -> bool:
    """Say whether a file starts at once with a neuron and its text, without names of columns."""
    return len(header) == 2 and header[0].isascii() and header[0].isdigit()


def read_json(path: Path, text: str) -> list[Pair]:
    """Read ``{"3": "snow"}``, ``[[3, "snow"]]`` or ``[{"neuron": 3, "text": "snow"}]``.

    In the last, the neuron may also be called "unit" and the text "description", "explanation", "label" or "concept".

    Raises
    ------
    ValueError
        It is none of these, or an entry makes no sense; the message names it.
    """
    try:
        # Pairs, not a dict: a neuron that occurs twice shall be noticed.
        content = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The file '{path}' is not JSON ({error}). Write it anew.") from error
    if isinstance(content, _Object):
        return [_pair(path, number, *entry) for number, entry in enumerate(content)]
    if isinstance(content, list):
        entries = cast("list[Any]", content)
        return [_pair(path, number, *_entry(path, number, entry)) for number, entry in enumerate(entries)]
    raise ValueError(
        f"The file '{path}' holds a {type(content).__name__}. Expected: "
        '{"3": "snow"}, [[3, "snow"]] or [{"neuron": 3, "text": "snow"}].'
    )


class _Object(list[tuple[str, Any]]):
    """A JSON object as pairs, told apart from a JSON list."""


def _entry(path: Path, number: int, entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, _Object):
        named: Mapping[str, Any] = dict(entry)
        columns = plain_columns(list(named))
        if columns is not None:
            return named[columns[0]], named[columns[1]]
        return _fail(path, number, f"has {', '.join(named) or 'nothing'}, but no neuron with a text")
    if isinstance(entry, list) and len(cast("list[Any]", entry)) == 2:
        neuron, text = cast("list[Any]", entry)
        return neuron, text
    return _fail(path, number, f"is {json.dumps(entry)[:80]}, not a neuron with a text")


def _pair(path: Path, number: int, neuron: Any, text: Any) -> Pair:
    if isinstance(neuron, str) and re.fullmatch(" *[0-9]{1,30} *", neuron):
        neuron = int(neuron)
    if not isinstance(neuron, int) or isinstance(neuron, bool) or neuron < 0:
        _fail(path, number, f"is of neuron {neuron!r}, not a whole number from 0 on")
    if not isinstance(text, str) or not text.strip():
        _fail(path, number, f"says {text!r} of neuron {neuron}, not a text")
    return Pair(neuron, text)


def _fail(path: Path, number: int, fact: str) -> NoReturn:
    raise ValueError(f"Entry {number + 1} of '{path}' {fact}. Correct or remove it.")
