"""Anybody's explanations: a neuron and a text, in CSV or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

from linexp.explanations.explanation import Explanation, Term
from linexp.explanations.formula import Formula
from linexp.explanations.quality import Measure

NEURON_COLUMNS = ("neuron", "unit")
FORMULA = "formula"
"""What a column is called whose texts are formulas; elsewhere a text that looks like one is a text."""
TEXT_COLUMNS = ("description", "text", "explanation", "label", "concept", FORMULA)


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


def read_json(path: Path, text: str) -> list[Explanation]:
    """Read ``{"3": "snow"}``, ``[[3, "snow"]]`` or ``[{"neuron": 3, "text": "snow"}]``: each text a term of weight 1.

    In the last, the neuron may also be called "unit" and the text "description", "explanation", "label" or "concept";
    a "formula" is read as one. It may have a "measure" with its "measure_value" and its "measure_p".

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
        return [_explanation(path, number, *entry) for number, entry in enumerate(content)]
    if isinstance(content, list):
        return [_entry(path, number, entry) for number, entry in enumerate(cast("list[Any]", content))]
    raise ValueError(
        f"The file '{path}' holds a {type(content).__name__}. Expected: "
        '{"3": "snow"}, [[3, "snow"]] or [{"neuron": 3, "text": "snow"}].'
    )


class _Object(list[tuple[str, Any]]):
    """A JSON object as pairs, told apart from a JSON list."""


def _entry(path: Path, number: int, entry: Any) -> Explanation:
    if isinstance(entry, _Object):
        named: Mapping[str, Any] = dict(entry)
        columns = plain_columns(list(named))
        if columns is None:
            _fail(path, number, f"has {', '.join(named) or 'nothing'}, but no neuron with a text")
        neuron, text = columns
        item = _explanation(path, number, named[neuron], named[text], is_formula=text == FORMULA)
        return replace(item, measure=_measure(path, number, named))
    if isinstance(entry, list) and len(cast("list[Any]", entry)) == 2:
        return _explanation(path, number, *cast("list[Any]", entry))
    return _fail(path, number, f"is {json.dumps(entry)[:80]}, not a neuron with a text")


def _explanation(path: Path, number: int, neuron: Any, text: Any, *, is_formula: bool = False) -> Explanation:
    if isinstance(neuron, str) and re.fullmatch(" *[0-9]{1,30} *", neuron):
        neuron = int(neuron)
    if not isinstance(neuron, int) or isinstance(neuron, bool) or neuron < 0:
        _fail(path, number, f"is of neuron {neuron!r}, not a whole number from 0 on")
    if not isinstance(text, str) or not text.strip():
        _fail(path, number, f"says {text!r} of neuron {neuron}, not a text")
    try:
        return Explanation(neuron, (Term(Formula.parse(text) if is_formula else text, 1.0),))
    except ValueError as error:
        _fail(path, number, f"says no formula of neuron {neuron}: {str(error).rstrip('.')}")


def _measure(path: Path, number: int, named: Mapping[str, Any]) -> Measure | None:
    if named.get("measure") is None or named.get("measure_value") is None:
        return None
    value, p_value = named["measure_value"], named.get("measure_p")
    try:
        return Measure(str(named["measure"]), float(value), None if p_value is None else float(p_value))
    except (TypeError, ValueError, OverflowError) as error:
        _fail(path, number, f"has a measure that is none: {str(error).rstrip('.')}")


def _fail(path: Path, number: int, fact: str) -> NoReturn:
    raise ValueError(f"Entry {number + 1} of '{path}' {fact}. Correct or remove it.")
