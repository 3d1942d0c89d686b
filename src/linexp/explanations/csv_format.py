"""Explanations as rows of a CSV file: our layout, the two of the paper's published results, anybody's texts."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from linexp._internal.checks import check_choice, listing
from linexp._internal.files import csv_text, decode_text
from linexp.explanations.plain import NEURON_COLUMNS, TEXT_COLUMNS, is_headless, plain_columns, read_json

OUTCOMES = ("explained", "empty", "constant")
# Above it a float need not be the whole number that was written.
_EXACT = 2**53
# Characters of a cell in a message.
_MOST_SHOWN = 60
# What stands behind the last term in the authors' files.
_PADDING = ("0", 0.0)
_LEADING = ("layer", "neuron", "outcome", "n_terms", "val_correlation", "val_error", "bias")
# "again" is ``kept``. Older files have "kept", the share of repetitions with a twentieth of the images left out, which
# is something else and not read.
_KINDS = ("weight", "concept", "error", "again")
_FITTED_ON = "fitted_on"
# Characters of a cell: a spreadsheet keeps 32,767, Python's reader 131,072.
_LONGEST = 30_000


class Cell(NamedTuple):
    """One term in plain values; see ``linexp.Term`` for their meaning."""

    concept: str
    weight: float
    error: float | None = None
    kept: float | None = None


class Row(NamedTuple):
    """One explanation in plain values; see ``linexp.Explanation`` for their meaning."""

    layer: str
    neuron: int
    outcome: str
    terms: tuple[Cell, ...]
    bias: float
    val_correlation: float | None
    val_error: float | None = None
    fitted_on: str = ""


def write_rows(path: Path, rows: Sequence[Row], fitted_on: str = "") -> None:
    """Write our layout: a line for each explanation, four columns for each term.

    The columns are ``layer, neuron, outcome, n_terms, val_correlation, val_error, bias``, then ``weight0, concept0,
    error0, again0`` and so on. What is unknown is left empty. Numbers are written with all their digits, so that
    reading gives back the same bits. Where it is known what they were fitted on, that stands in the first line alone,
    behind the terms: in ``fitted_on0`` and, what is too long for a cell, in ``fitted_on1`` and so on.
    """
    most = max((len(row.terms) for row in rows), default=0)
    header = [*_LEADING, *(f"{kind}{place}" for place in range(most) for kind in _KINDS)]
    pieces = [fitted_on[start : start + _LONGEST] for start in range(0, len(fitted_on), _LONGEST)]
    lines: list[Sequence[object]] = [[*header, *(f"{_FITTED_ON}{place}" for place in range(len(pieces)))]]
    for row in rows:
        terms = [
            cell
            for term in row.terms
            for cell in (_digits(term.weight), term.concept, _digits(term.error), _digits(term.kept))
        ]
        terms += [""] * (len(header) - len(_LEADING) - len(terms))
        quality = (_digits(row.val_correlation), _digits(row.val_error), _digits(row.bias))
        lines.append([row.layer, row.neuron, row.outcome, len(row.terms), *quality, *terms, *pieces])
        pieces = [""] * len(pieces)
    path.write_bytes(csv_text(lines).encode())


def _digits(value: float | None) -> str:
    return "" if value is None else repr(float(value))  # a NumPy number would write its type too


def read_rows(path: Path, layer: str | None = None) -> list[Row]:
    """Read our layout, one of the authors', or neurons and texts; by its name a file is CSV or JSON.

    The authors' explanations have the columns ``unit, val correlation, weight0, concept0, …, bias`` (``layer`` is
    optional), with weight 0 and the text "0" behind the last concept. Everybody else's have a neuron (``neuron`` or
    ``unit``) and a text (``description``, ``text``, ``explanation``, ``label``, ``concept``, or whatever the only other
    column is called; two columns need no names at all), or are JSON, see ``read_json``; they are read as one term of
    weight 1. Other columns (scores) are ignored. Of a file of several layers the rows of ``layer`` are read.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The columns are of none of these layouts (which are missing is said), or a cell makes no sense; the message
        names line, column and value. There are several layers, and none is ``layer``.
    """
    text = _read_text(path)
    if path.suffix.lower() == ".json":
        pairs = enumerate(read_json(path, text), start=1)
        return _check_rows(path, [(number, _said(*pair)) for number, pair in pairs], None, "Entry")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)  # an open quote at the end is no cell
    try:
        first = next(reader, [])
        header = ["neuron", "text"] if is_headless(first) else [column.strip() for column in first]
        parse = _choose_layout(path, header)
        lines = [(1, first)] if is_headless(first) else []
        numbered = itertools.chain(lines, ((reader.line_num, cells) for cells in reader if cells))
        rows = [(number, parse(_Line(path, number, header, cells))) for number, cells in numbered]
        return _check_rows(path, rows, layer)
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of '{path}' is not CSV ({error}). Correct the line, or write the file anew."
        ) from error


def _read_text(path: Path) -> str:
    """Return the text with its line ends as they are: they may belong to a concept's name."""
    try:
        return decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}'. Give the path of an explanations CSV.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder. Give the path of an explanations CSV.") from None


class _Line:
    """One line of the file, which knows how to complain about its cells."""

    def __init__(self, path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> None:
        self.path, self.number = path, number
        if len(cells) != len(header):
            self.fail(f"there are {len(cells)} cells under {len(header)} column names")
        self.cells = dict(zip(header, cells, strict=True))

    def fail(self, fact: str) -> NoReturn:
        raise ValueError(
            f"Line {self.number} of '{self.path}': {fact}. Correct the line, or write the file anew with to_csv."
        )

    def shown(self, column: str) -> str:
        """Return a cell as a message shows it; its beginning, if it is long."""
        text = self.cells[column]
        return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}…"

    def number_in(self, column: str) -> float:
        text = self.cells[column].strip()
        try:
            value = float(text)
        except ValueError:
            self.fail(f"{column} is {self.shown(column)}, not a number")
        if not text.isascii() or "_" in text:  # which Python would take for digits, but no other program
            self.fail(f"{column} is {self.shown(column)}, not a number")
        if not math.isfinite(value):
            self.fail(f"{column} is {self.shown(column)}, not a finite number")
        return value

    def whole_number_in(self, column: str) -> int:
        # Spreadsheets write 3.0 for 3; what is written without a point may be longer than a float is exact.
        text = self.cells[column].strip()
        is_plain = re.fullmatch("[0-9]{1,30}", text) is not None
        value = int(text) if is_plain else self.number_in(column)
        if value != int(value) or value < 0 or (not is_plain and value > _EXACT):
            self.fail(f"{column} is {self.shown(column)}, not a whole number from 0 on")
        return int(value)

    def concept_in(self, column: str) -> str:
        concept = self.cells[column]
        if not concept.strip():
            self.fail(f"{column} is empty")
        return concept

    def correlation_in(self, column: str) -> float | None:
        if not self.cells[column].strip():
            return None
        value = self.number_in(column)
        if not -1.000001 <= value <= 1.000001:
            self.fail(f"{column} is {value}, not a correlation from -1 to 1")
        return value

    @property
    def fitted_on(self) -> str:
        """Return the text that was parted among several columns; "" where there are none."""
        columns = (f"{_FITTED_ON}{place}" for place in itertools.count())
        return "".join(self.cells[column] for column in itertools.takewhile(self.cells.__contains__, columns)).strip()

    def error_in(self, column: str) -> float | None:
        """Return a number from 0 on; ``None`` where there is no such column or nothing in it."""
        if not self.cells.get(column, "").strip():
            return None
        value = self.number_in(column)
        if value < 0:
            self.fail(f"{column} is {value}, not a number from 0 on")
        return value


_OURS = ("neuron", "outcome", "n_terms", "val_correlation", "bias")
_AUTHORS = ("unit", "val correlation", "weight0", "concept0", "bias")


def _choose_layout(path: Path, header: Sequence[str]) -> Callable[[_Line], Row]:
    _check_columns(path, header)
    if set(_OURS) <= set(header):
        return _parse_ours
    if set(_AUTHORS) <= set(header):
        return _parse_authors
    is_weighted = any(re.fullmatch("weight[0-9]+|concept[0-9]+|outcome|n_terms", column) for column in header)
    plain = plain_columns(header)
    if plain is not None and not is_weighted:
        return partial(_parse_plain, *plain)
    missing = _missing(header, is_weighted=is_weighted)
    raise ValueError(
        f"The columns of '{path}' ({listing(header)}) are of no known layout{missing}. Expected: {', '.join(_OURS)}, "
        "weight0, concept0, … (linexp); unit, val correlation, weight0, concept0, …, bias (the paper's published "
        "results); or a neuron and a text, such as neuron, description (anybody's)."
    )


def _missing(header: Sequence[str], *, is_weighted: bool) -> str:
    """Name the columns that the nearest layout lacks."""
    if is_weighted:
        layouts = ((_OURS, "linexp's"), (_AUTHORS, "the paper's"))
        wanted, whose = max(layouts, key=lambda layout: len(set(layout[0]) & set(header)))
        return f": for {whose}, {', '.join(column for column in wanted if column not in header)} is missing"
    if set(NEURON_COLUMNS) & set(header):
        return f": none is called {' or '.join(TEXT_COLUMNS)}"
    if set(TEXT_COLUMNS) & set(header):
        return f": none is called {' or '.join(NEURON_COLUMNS)}"
    return ""


def _check_columns(path: Path, header: Sequence[str]) -> None:
    known = Counter(header)
    for column in header:
        if column and known[column] > 1:
            raise ValueError(f"The file '{path}' has two columns '{column}'. Remove or rename one.")
        partner = re.sub("^concept(?=[0-9]+$)", "weight", column)
        if partner not in known:
            raise ValueError(f"The file '{path}' has a column '{column}', but no '{partner}'. Write it anew.")


def _parse_ours(line: _Line) -> Row:
    n_terms = line.whole_number_in("n_terms")
    outcome = line.cells["outcome"]
    try:
        check_choice("outcome", outcome, OUTCOMES)
    except ValueError as error:
        line.fail(str(error).rstrip("."))
    if n_terms and f"concept{n_terms - 1}" not in line.cells:
        line.fail(f"n_terms is {n_terms}, but there is no column concept{n_terms - 1}")
    if any(line.cells[column] for column in _beyond(line.cells, n_terms)):
        line.fail(f"n_terms is {n_terms}, but more terms are filled in")
    if (n_terms > 0) != (outcome == "explained"):
        line.fail(f"outcome is '{outcome}' with {n_terms} terms")
    terms = tuple(
        Cell(
            line.concept_in(f"concept{k}"),
            line.number_in(f"weight{k}"),
            line.error_in(f"error{k}"),
            line.error_in(f"again{k}"),
        )
        for k in range(n_terms)
    )
    for place, term in enumerate(terms):
        if term.concept in (other.concept for other in terms[:place]):
            line.fail(f"the concept '{term.concept}' stands in two terms")
    return Row(
        line.cells.get("layer", ""),
        line.whole_number_in("neuron"),
        outcome,
        terms,
        line.number_in("bias"),
        line.correlation_in("val_correlation"),
        line.error_in("val_error"),
        line.fitted_on,
    )


def _beyond(columns: Iterable[str], n_terms: int) -> list[str]:
    numbered = ((column, re.fullmatch("(?:weight|concept|error|again)([0-9]{1,30})", column)) for column in columns)
    return [column for column, match in numbered if match and int(match[1]) >= n_terms]


def _parse_authors(line: _Line) -> Row:
    pairs: list[tuple[str, float]] = []
    while f"concept{len(pairs)}" in line.cells:
        pairs.append((line.concept_in(f"concept{len(pairs)}"), line.number_in(f"weight{len(pairs)}")))
    n_terms = next((place for place, pair in enumerate(pairs) if pair == _PADDING), len(pairs))
    terms = pairs[:n_terms]
    for place in range(n_terms, len(pairs)):
        if pairs[place] != _PADDING:
            line.fail(f"concept{place} is '{pairs[place][0]}', though the terms end before concept{n_terms}")
    return Row(
        line.cells.get("layer", ""),
        line.whole_number_in("unit"),
        "explained" if terms else "empty",
        tuple(Cell(*term) for term in terms),
        line.number_in("bias"),
        line.correlation_in("val correlation"),
    )


def _parse_plain(neuron: str, text: str, line: _Line) -> Row:
    return _said(line.whole_number_in(neuron), line.concept_in(text), line.cells.get("layer", ""))


def _said(neuron: int, text: str, layer: str = "") -> Row:
    return Row(layer, neuron, "explained", (Cell(text, 1.0),), 0.0, None)


def _check_rows(path: Path, numbered: Sequence[tuple[int, Row]], layer: str | None, what: str = "Line") -> list[Row]:
    if not numbered:
        raise ValueError(f"The file '{path}' holds no explanation. Give a file with at least one.")
    seen: dict[int, int] = {}
    numbered = _of_layer(path, numbered, layer)
    for number, row in numbered:
        if row.neuron in seen:
            raise ValueError(
                f"{what} {number} of '{path}': neuron {row.neuron} was already explained on {what.lower()} "
                f"{seen[row.neuron]}. Keep one of the two."
            )
        seen[row.neuron] = number
    return [row for _, row in numbered]


def _of_layer(path: Path, numbered: Sequence[tuple[int, Row]], layer: str | None) -> Sequence[tuple[int, Row]]:
    """Return the rows of one layer, where there are several."""
    layers = list(dict.fromkeys(row.layer for _, row in numbered))
    if len(layers) == 1:
        return numbered
    if layer not in layers:
        asked = "none is asked for" if layer is None else f"none is '{layer}'"
        raise ValueError(
            f"The explanations in '{path}' are of {len(layers)} layers ({listing(layers, 6)}), and {asked}. "
            "Keep the lines of one layer, or say in Python which: from_csv(path, layer=...)."
        )
    return [(number, row) for number, row in numbered if row.layer == layer]
