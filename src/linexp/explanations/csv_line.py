"""One line of a CSV file of explanations, which knows how to complain about its cells."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from linexp.explanations.formula import Concept, Formula
from linexp.explanations.link import Link
from linexp.explanations.quality import Measure

# Above it a float need not be the whole number that was written.
_EXACT = 2**53
# Characters of a cell in a message.
_MOST_SHOWN = 60


class Line:
    """The cells of one line under the names of their columns."""

    def __init__(self, path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> None:
        self.path, self.number = path, number
        if len(cells) != len(header):
            self.fail(f"there are {len(cells)} cells under {len(header)} column names")
        self.cells = dict(zip(header, cells, strict=True))

    def fail(self, fact: str) -> NoReturn:
        """Raise ``ValueError`` that names line, file and remedy."""
        raise ValueError(
            f"Line {self.number} of '{self.path}': {fact}. Correct the line, or write the file anew with to_csv."
        )

    def is_empty(self, column: str) -> bool:
        """Say whether there is no such column, or nothing in it."""
        return not self.cells.get(column, "").strip()

    def shown(self, column: str) -> str:
        """Return a cell as a message shows it; its beginning, if it is long."""
        text = self.cells[column]
        return repr(text) if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]!r}…"

    def number_in(self, column: str) -> float:
        """Return a finite number."""
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
        """Return a whole number from 0 on; also 3.0, as spreadsheets write 3."""
        text = self.cells[column].strip()
        is_plain = re.fullmatch("[0-9]{1,30}", text) is not None  # may be longer than a float is exact
        value = int(text) if is_plain else self.number_in(column)
        if value != int(value) or value < 0 or (not is_plain and value > _EXACT):
            self.fail(f"{column} is {self.shown(column)}, not a whole number from 0 on")
        return int(value)

    def concept_in(self, column: str, *, is_formula: bool = False) -> Concept:
        """Return a word or a text, or the formula that it is."""
        concept = self.cells[column]
        if not concept.strip():
            self.fail(f"{column} is empty")
        try:
            return Formula.parse(concept) if is_formula else concept
        except ValueError as error:
            self.fail(f"{column}: {error}".rstrip("."))

    def words_in(self, column: str) -> tuple[str, ...]:
        """Return a list of words, written as in JSON; none where there is nothing."""
        if self.is_empty(column):
            return ()
        try:
            words = json.loads(self.cells[column])
        except (ValueError, RecursionError):
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            self.fail(f'{column} is {self.shown(column)}, not a list of words such as ["hound", "dog"]')
        return tuple(words)

    def correlation_in(self, column: str) -> float | None:
        """Return a correlation; ``None`` where there is nothing."""
        return self._number_from(column, -1.000001, 1.000001, "a correlation from -1 to 1")

    def error_in(self, column: str) -> float | None:
        """Return a number from 0 on; ``None`` where there is nothing."""
        return self._number_from(column, 0, math.inf, "a number from 0 on")

    def _number_from(self, column: str, least: float, most: float, what: str) -> float | None:
        value = None if self.is_empty(column) else self.number_in(column)
        if value is not None and not least <= value <= most:
            self.fail(f"{column} is {value}, not {what}")
        return value

    @property
    def link(self) -> Link | None:
        """How the activation rises with the weighted sum; ``None`` if it is the sum."""
        if self.is_empty("link"):
            return None
        try:
            return Link.parse(self.cells["link"])
        except ValueError as error:
            self.fail(f"link: {str(error).rstrip('.')}")

    @property
    def measure(self) -> Measure | None:
        """The method's own measure: ``measure``, ``measure_value``, ``measure_p``; ``None`` if it is not there."""
        if self.is_empty("measure") or self.is_empty("measure_value"):
            return None
        value, p_value = self.number_in("measure_value"), self.error_in("measure_p")
        try:
            return Measure(self.cells["measure"], value, p_value)
        except ValueError as error:
            self.fail(str(error).rstrip("."))
