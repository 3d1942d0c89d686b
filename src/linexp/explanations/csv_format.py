"""Explanations as rows of a CSV file: our layout, the two of the paper's published results, anybody's texts."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from linexp._internal.checks import listing
from linexp._internal.files import csv_text, decode_text
from linexp.explanations.csv_layouts import FITTED_ON, KIND, SYNONYMS, Row, choose_layout
from linexp.explanations.csv_line import Line
from linexp.explanations.explanation import Explanation, Term
from linexp.explanations.fitted_on import FittedOn
from linexp.explanations.formula import Formula
from linexp.explanations.plain import FORMULA, is_headless, read_json
from linexp.models import published_network

_LEADING = ("layer", "neuron", "outcome", "n_terms", "val_correlation", "val_error", "bias")
_MEASURE, _LINK = ("measure", "measure_value", "measure_p"), ("link",)
# "again" is ``kept``. Older files have "kept", the share of repetitions with a twentieth of the images left out, which
# is something else and not read. Only files with formulas have "kind": a text that looks like one need not be one.
_KINDS = ("weight", "concept", "error", "again")
# Characters of a cell: a spreadsheet keeps 32,767, Python's reader 131,072.
_LONGEST = 30_000


class Read(NamedTuple):
    """What a file says; see ``linexp.Explanations`` for the meaning."""

    items: tuple[Explanation, ...]
    layer: str
    network: str
    fitted_on: FittedOn | None


def write_rows(path: Path, items: Sequence[Explanation], layer: str, fitted_on: FittedOn | None) -> None:
    """Write our layout: a line for each explanation, four columns for each term.

    The columns are ``layer, neuron, outcome, n_terms, val_correlation, val_error, bias``, then ``weight0, concept0,
    error0, again0`` and so on. What is unknown is left empty. Numbers are written with all their digits, so that
    reading gives back the same bits. Where it is known what they were fitted on, that stands in the first line alone,
    behind the terms: in ``fitted_on0`` and, what is too long for a cell, in ``fitted_on1`` and so on.

    Only where some have a measure, ``measure, measure_value, measure_p`` stand behind ``bias``, and only where some
    have a link, ``link`` behind that: pairs of a weighted sum and the activation predicted there. Only where some have
    a formula, ``kind0`` behind ``again0`` says "formula" of those, and so on; only where some have synonyms,
    ``synonyms0`` behind these lists them, as JSON does.
    """
    terms = [term for item in items for term in item.terms]
    kinds = (
        *_KINDS,
        *([KIND] if any(isinstance(term.concept, Formula) for term in terms) else []),
        *([SYNONYMS] if any(term.synonyms for term in terms) else []),
    )
    measures = _MEASURE if any(item.measure for item in items) else ()
    links = _LINK if any(item.link for item in items) else ()
    most = max((len(item.terms) for item in items), default=0)
    text = "" if fitted_on is None else str(fitted_on)
    pieces = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    header = [*_LEADING, *measures, *links, *(f"{kind}{place}" for place in range(most) for kind in kinds)]
    lines: list[Sequence[object]] = [[*header, *(f"{FITTED_ON}{place}" for place in range(len(pieces)))]]
    for item in items:
        numbers = map(_digits, (item.val_correlation, item.val_error, item.bias))
        cells = [layer, item.neuron, item.outcome, len(item.terms), *numbers, *_measured(item)[: len(measures)]]
        cells += [item.link.to_text() if item.link else ""][: len(links)]
        cells += [cell for term in item.terms for cell in map(_cells(term).__getitem__, kinds)]
        lines.append([*cells, *[""] * (len(header) - len(cells)), *pieces])
        pieces = [""] * len(pieces)
    path.write_bytes(csv_text(lines).encode())


def _cells(term: Term) -> dict[str, str]:
    return {
        "weight": _digits(term.weight),
        "concept": str(term.concept),
        "error": _digits(term.error),
        "again": _digits(term.kept),
        KIND: FORMULA if isinstance(term.concept, Formula) else "",
        SYNONYMS: json.dumps(term.synonyms, ensure_ascii=False) if term.synonyms else "",
    }


def _measured(item: Explanation) -> tuple[str, ...]:
    one = item.measure
    return ("", "", "") if one is None else (one.name, _digits(one.value), _digits(one.p_value))


def _digits(value: float | None) -> str:
    return "" if value is None else repr(float(value))  # a NumPy number would write its type too


def read_rows(path: Path, layer: str | None = None) -> Read:
    """Read our layout, one of the authors', or neurons and texts; see ``Explanations.from_csv``.

    The authors' explanations have the columns ``unit, val correlation, weight0, concept0, …, bias`` (``layer`` is
    optional), with weight 0 and the text "0" behind the last concept. Everybody else's have a neuron (``neuron`` or
    ``unit``) and a text (``description``, ``text``, ``explanation``, ``label``, ``concept``, ``formula``, or whatever
    the only other column is called; two columns need no names at all). Other columns (scores) are ignored.
    """
    text = _read_text(path)
    if path.suffix.lower() == ".json":
        entries = enumerate(map(Row, read_json(path, text)), start=1)
        return _whole(path, _check_rows(path, list(entries), None, "Entry"), "")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)  # an open quote at the end is no cell
    try:
        first = next(reader, [])
        header = ["neuron", "text"] if is_headless(first) else [column.strip() for column in first]
        parse = choose_layout(path, header)
        lines = [(1, first)] if is_headless(first) else []
        numbered = itertools.chain(lines, ((reader.line_num, cells) for cells in reader if cells))
        rows = [(number, parse(Line(path, number, header, cells))) for number, cells in numbered]
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of '{path}' is not CSV ({error}). Correct the line, or write the file anew."
        ) from error
    # The authors count in units, and call their files by the network.
    network = published_network(path.stem) if "unit" in header else ""
    return _whole(path, _check_rows(path, rows, layer), network)


def _read_text(path: Path) -> str:
    """Return the text with its line ends as they are: they may belong to a concept's name."""
    try:
        return decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}'. Give the path of an explanations CSV.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder. Give the path of an explanations CSV.") from None


def _check_rows(path: Path, numbered: Sequence[tuple[int, Row]], layer: str | None, what: str = "Line") -> list[Row]:
    """Return the rows of one layer, where there are several; none of them may be of the same neuron as another."""
    if not numbered:
        raise ValueError(f"The file '{path}' holds no explanation. Give a file with at least one.")
    layers = list(dict.fromkeys(row.layer for _, row in numbered))
    if len(layers) > 1 and layer not in layers:
        asked = "none is asked for" if layer is None else f"none is '{layer}'"
        raise ValueError(
            f"The explanations in '{path}' are of {len(layers)} layers ({listing(layers, 6)}), and {asked}. "
            "Keep the lines of one layer, or say in Python which: from_csv(path, layer=...)."
        )
    kept = [(number, row) for number, row in numbered if len(layers) == 1 or row.layer == layer]
    seen: dict[int, int] = {}
    for number, row in kept:
        before = seen.setdefault(row.item.neuron, number)
        if before != number:
            raise ValueError(
                f"{what} {number} of '{path}': neuron {row.item.neuron} was already explained on {what.lower()} "
                f"{before}. Keep one of the two."
            )
    return [row for _, row in kept]


def _whole(path: Path, rows: Sequence[Row], network: str) -> Read:
    said = sorted({row.fitted_on for row in rows} - {""})
    try:
        found = [FittedOn.parse(text) for text in said]
    except ValueError as error:
        raise ValueError(
            f"The column fitted_on0 of '{path}' does not say on which images it was fitted: {error}. "
            "Empty it, if that is not known, or write the file anew with to_csv."
        ) from error
    if len(found) > 1:
        raise ValueError(
            f"The column fitted_on0 of '{path}' says {len(found)} things. Keep explanations of one split per file."
        )
    return Read(tuple(row.item for row in rows), rows[0].layer, network, found[0] if found else None)
