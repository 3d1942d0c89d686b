"""Scores as a report takes them: one number per neuron, from whatever CSV files lie in a result folder."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linexp.score import Scores

_ERROR = "_error"
_ORIGIN = ("method", "simulator", "images", "part", "n_images")


@dataclass(frozen=True, eq=False)
class Column:
    """One number for each neuron, with its standard error where that is known.

    Parameters
    ----------
    metric
        What was measured: "correlation", "ablation", "impact".
    judge
        Who predicted the neuron's activations; "" for the concepts that also explained.
    values
        Neuron → number; only where it is defined.
    errors
        Neuron → standard error; only where it is known.
    """

    metric: str
    judge: str
    values: dict[int, float]
    errors: dict[int, float] = field(default_factory=dict[int, float])

    @property
    def title(self) -> str:
        """What a page calls it."""
        metric = self.metric.replace("_", " ")
        return f"{metric}, judged by {self.judge}" if self.judge else metric

    @property
    def mean(self) -> float:
        """Mean over neurons; NaN if there is none."""
        return math.fsum(self.values.values()) / len(self.values) if self.values else math.nan

    @property
    def sem(self) -> float:
        """Standard error of the mean over neurons, with divisor n - 1; NaN below two neurons."""
        if len(self.values) < 2:
            return math.nan
        squares = math.fsum((value - self.mean) ** 2 for value in self.values.values())
        return math.sqrt(squares / (len(self.values) - 1) / len(self.values))


def column_of(scores: Scores, judge: str = "") -> Column:
    """Return scores as a column."""
    errors = scores.errors.tolist() if scores.errors is not None else [math.nan] * len(scores.neurons)
    return Column(scores.metric, judge, _known(scores.neurons, scores.values.tolist()), _known(scores.neurons, errors))


def read_columns(folder: Path) -> tuple[Column, ...]:
    """Read every numeric column of ``scores*.csv`` and ``impact*.csv`` in a folder; other files are passed over.

    A file needs a column ``neuron``. A column ``x_error`` holds the standard errors of ``x``.

    Raises
    ------
    ValueError
        A neuron or a number in one of these files is none.
    """
    found: list[Column] = []
    for path in [*sorted(folder.glob("scores*.csv"), key=lambda path: path.stem), *sorted(folder.glob("impact*.csv"))]:
        found += _read_file(path)
    return tuple(found)


def _read_file(path: Path) -> list[Column]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = list(reader.fieldnames or ())
        rows = list(reader)
    if "neuron" not in header:
        return []
    is_ours = set(_ORIGIN) <= set(header)  # then every line says who judged; else only the file's name does
    judge = path.stem.partition("-by-")[2]
    if judge and is_ours and rows:
        judge = rows[0]["simulator"] or judge
    neurons = [int(_number(path, "neuron", row["neuron"])) for row in rows]
    passed_over = {"neuron", *((*_ORIGIN, "n_seen") if is_ours else ())}
    wanted = [
        name for name in header if name not in passed_over and not name.endswith(_ERROR) and _is_numeric(rows, name)
    ]
    note = _seen_note(rows[0]) if is_ours and rows else ""
    return [
        Column(
            f"{name}{note}", judge, _cells(path, rows, neurons, name), _cells(path, rows, neurons, f"{name}{_ERROR}")
        )
        for name in wanted
    ]


def _seen_note(line: dict[str, str]) -> str:
    """Return what stands behind a score's name if it was taken on images that the explanations have seen."""
    n_seen = line.get("n_seen") or "0"
    return "" if n_seen == "0" else f" (fitted on {n_seen} of these {line['n_images']} images)"


def _is_numeric(rows: Sequence[dict[str, str]], name: str) -> bool:
    """Say whether the column's first filled cell is a number: others, such as a layer's name, are no scores."""
    first = next((row[name] for row in rows if row[name]), "")
    try:
        return math.isfinite(float(first))
    except ValueError:
        return False


def _cells(path: Path, rows: Sequence[dict[str, str]], neurons: Sequence[int], name: str) -> dict[int, float]:
    pairs = zip(neurons, rows, strict=True)
    return {neuron: _number(path, name, row[name]) for neuron, row in pairs if row.get(name)}


def _number(path: Path, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"The column '{name}' of '{path}' holds {text!r}, which is no number. Score anew.")
    return value


def _known(neurons: Sequence[int], values: Sequence[float]) -> dict[int, float]:
    return {neuron: value for neuron, value in zip(neurons, values, strict=True) if not math.isnan(value)}
