"""Scores as they stand in files: the paper's published ones, beside the explanations, and our own."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import torch

from linexp._internal.files import decode_text
from linexp.score.base import Origin, Scores

# The authors' column → our metric.
_COLUMN = re.compile(r"sim (?P<metric>.+)")


def read_scores(path: str | Path) -> tuple[Scores, ...]:
    """Read the scores in a CSV file: the columns ``sim …`` of the authors' files, or a file that linexp score wrote.

    Parameters
    ----------
    path
        A file with the columns ``unit`` and, say, ``sim correlation`` and ``sim ablation(optim)``; or ours, with
        ``neuron``, a metric and its error.

    Returns
    -------
    tuple of Scores
        One for each column of scores, in the order of the file, and one for each origin that its lines name; none for a
        file of explanations alone. What is empty
        or "nan" is undefined. On how many images is not in the authors' files, and given as 0. Which neurons are silent
        is known of our files that say so; in older ones these have no score, like those that are constant.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        There is no column ``neuron`` or ``unit``, or a cell makes no sense; the message names line and column.
    """
    path = Path(path)
    try:
        text = decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}'. Give the path of a CSV file with scores.") from None
    try:
        lines = [cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells]
    except csv.Error as error:
        raise ValueError(f"The file '{path}' is not CSV ({error}). Write it anew.") from error
    header = [column.strip() for column in lines[0]] if lines else []
    by = next((column for column in ("neuron", "unit") if column in header), None)
    if by is None:
        raise ValueError(f"The file '{path}' has no column 'neuron' or 'unit'. Give a CSV file with one.")
    ours = header[1] if len(header) > 2 and header[0] == "neuron" and header[2] == f"{header[1]}_error" else None
    found = {column: match["metric"] for column in header if (match := _COLUMN.fullmatch(column))}
    columns = {ours: ours} if ours else found
    numbers = {column: _numbers(path, header, lines[1:], column) for column in (by, *columns)}
    neurons = _neurons(path, numbers[by])
    if not ours:
        return tuple(Scores(numbers[column], neurons, metric, 0) for column, metric in columns.items())
    errors = _numbers(path, header, lines[1:], f"{ours}_error")
    counts = _numbers(path, header, lines[1:], "n_images").nan_to_num(0) if "n_images" in header else None
    silent = _numbers(path, header, lines[1:], "silent") == 1 if "silent" in header else None
    return tuple(
        Scores(
            numbers[ours][rows],
            tuple(neurons[row] for row in rows),
            ours,
            0 if counts is None or not rows else int(counts[rows[0]]),
            errors[rows],
            origin,
            None if silent is None else silent[rows],
        )
        for origin, rows in _by_origin(path, header, lines[1:]).items()
    )


def _by_origin(path: Path, header: list[str], lines: list[list[str]]) -> dict[Origin, list[int]]:
    """Return the rows of each origin: several stand in a file that somebody put together."""
    found: dict[Origin, list[int]] = {} if lines else {Origin(): []}
    seen = _numbers(path, header, lines, "n_seen").tolist() if "n_seen" in header else [math.nan] * len(lines)
    for row, (cells, n_seen) in enumerate(zip(lines, seen, strict=True)):
        names = (
            dict(zip(header, cells, strict=False)).get(name, "") for name in ("method", "simulator", "images", "part")
        )
        origin = Origin(*names, n_seen=None if math.isnan(n_seen) else int(n_seen))
        found.setdefault(origin, []).append(row)
    return found


def _neurons(path: Path, numbers: torch.Tensor) -> tuple[int, ...]:
    wrong = numbers[~(numbers.isfinite() & (numbers == numbers.round()) & (numbers >= 0))]
    if len(wrong):
        raise ValueError(f"A neuron in '{path}' is {float(wrong[0]):g}, not a whole number from 0 on. Correct it.")
    return tuple(int(number) for number in numbers.tolist())


def _numbers(path: Path, header: list[str], lines: list[list[str]], column: str) -> torch.Tensor:
    place, values = header.index(column), list[float]()
    for number, cells in enumerate(lines, start=2):
        try:
            values.append(float(cells[place] or math.nan))
        except (ValueError, IndexError):
            cell = cells[place] if place < len(cells) else ""
            raise ValueError(
                f"Row {number} of '{path}': {column} is {cell!r}, not a number. Correct it, or write the file anew."
            ) from None
    return torch.tensor(values, dtype=torch.float64)


def published_sem(scores: Scores) -> float:
    """Return the standard error of the mean as the paper's tables have it: with divisor n for its ablation scores.

    Everywhere else in linexp, our own ablation scores included, and in the paper for correlations, it is n - 1.
    """
    n_defined = len(scores.defined)
    is_theirs = scores.metric.startswith("ablation") and scores.origin is None
    return scores.sem * math.sqrt(1 - 1 / n_defined) if is_theirs and n_defined > 1 else scores.sem
