"""What the columns of a CSV file of explanations mean: ours, the authors', and anybody's."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from linexp._internal.checks import check_choice, listing
from linexp.explanations.csv_line import Line
from linexp.explanations.explanation import OUTCOMES, Explanation, Outcome, Term
from linexp.explanations.plain import FORMULA, NEURON_COLUMNS, TEXT_COLUMNS, plain_columns

KIND, SYNONYMS, FITTED_ON = "kind", "synonyms", "fitted_on"
# What stands behind the last term in the authors' files.
_PADDING = ("0", 0.0)
_OURS = ("neuron", "outcome", "n_terms", "val_correlation", "bias")
_AUTHORS = ("unit", "val correlation", "weight0", "concept0", "bias")


class Row(NamedTuple):
    """What one line says; ``fitted_on`` is the text that was parted among several columns."""

    item: Explanation
    layer: str = ""
    fitted_on: str = ""


def choose_layout(path: Path, header: Sequence[str]) -> Callable[[Line], Row]:
    """Return what reads a line under these names of columns; see ``read_rows`` for the layouts.

    Raises
    ------
    ValueError
        They are of none, or one stands twice.
    """
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
    for own, other in ((NEURON_COLUMNS, TEXT_COLUMNS), (TEXT_COLUMNS, NEURON_COLUMNS)):
        if set(own) & set(header):
            return f": none is called {' or '.join(other)}"
    return ""


def _check_columns(path: Path, header: Sequence[str]) -> None:
    known = Counter(header)
    for column in header:
        if column and known[column] > 1:
            raise ValueError(f"The file '{path}' has two columns '{column}'. Remove or rename one.")
        partner = re.sub("^concept(?=[0-9]+$)", "weight", column)
        if partner not in known:
            raise ValueError(f"The file '{path}' has a column '{column}', but no '{partner}'. Write it anew.")


def _parse_ours(line: Line) -> Row:
    n_terms = line.whole_number_in("n_terms")
    outcome = line.cells["outcome"]
    try:
        check_choice("outcome", outcome, OUTCOMES)
    except ValueError as error:
        line.fail(str(error).rstrip("."))
    if n_terms and f"concept{n_terms - 1}" not in line.cells:
        line.fail(f"n_terms is {n_terms}, but there is no column concept{n_terms - 1}")
    numbered = (
        re.fullmatch("(?:weight|concept|error|again|kind|synonyms)([0-9]{1,30})", column) for column in line.cells
    )
    if any(match and int(match[1]) >= n_terms and line.cells[match[0]] for match in numbered):
        line.fail(f"n_terms is {n_terms}, but more terms are filled in")
    if (n_terms > 0) != (outcome == "explained"):
        line.fail(f"outcome is '{outcome}' with {n_terms} terms")
    terms = tuple(_term_in(line, place) for place in range(n_terms))
    repeated = [concept for concept, times in Counter(term.concept for term in terms).items() if times > 1]
    if repeated:
        line.fail(f"the concept '{repeated[0]}' stands in two terms")
    item = Explanation(
        line.whole_number_in("neuron"),
        terms,
        line.number_in("bias"),
        line.correlation_in("val_correlation"),
        cast(Outcome, outcome),
        line.error_in("val_error"),
        line.measure,
        line.link,
    )
    said = itertools.takewhile(line.cells.__contains__, (f"{FITTED_ON}{place}" for place in itertools.count()))
    return Row(item, line.cells.get("layer", ""), "".join(map(line.cells.__getitem__, said)).strip())


def _term_in(line: Line, place: int) -> Term:
    kind = line.cells.get(f"{KIND}{place}", "").strip()
    if kind not in ("", FORMULA):
        line.fail(f"{KIND}{place} is {line.shown(f'{KIND}{place}')}, which is neither empty nor {FORMULA!r}")
    return Term(
        line.concept_in(f"concept{place}", is_formula=kind == FORMULA),
        line.number_in(f"weight{place}"),
        line.error_in(f"error{place}"),
        line.error_in(f"again{place}"),
        line.words_in(f"{SYNONYMS}{place}"),
    )


def _parse_authors(line: Line) -> Row:
    places = itertools.takewhile(lambda place: f"concept{place}" in line.cells, itertools.count())
    pairs = [(line.concept_in(f"concept{place}"), line.number_in(f"weight{place}")) for place in places]
    n_terms = pairs.index(_PADDING) if _PADDING in pairs else len(pairs)
    for place in range(n_terms, len(pairs)):
        if pairs[place] != _PADDING:
            line.fail(f"concept{place} is '{pairs[place][0]}', though the terms end before concept{n_terms}")
    neuron, bias = line.whole_number_in("unit"), line.number_in("bias")
    val, outcome = line.correlation_in("val correlation"), "explained" if n_terms else "empty"
    item = Explanation(neuron, tuple(Term(*pair) for pair in pairs[:n_terms]), bias, val, outcome)
    return Row(item, line.cells.get("layer", ""))


def _parse_plain(neuron: str, text: str, line: Line) -> Row:
    number, concept = line.whole_number_in(neuron), line.concept_in(text, is_formula=text == FORMULA)
    return Row(Explanation(number, (Term(concept, 1.0),), measure=line.measure), line.cells.get("layer", ""))
