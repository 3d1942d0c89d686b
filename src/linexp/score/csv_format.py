"""Scores as they stand in files: the paper's published ones, beside the explanations, and our own."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch

from linexp._internal.files import decode_text, read_csv
from linexp.score.base import Origin, Scores

Line = dict[str, Any]
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
    header, numbered = read_csv(text, path, "Write it anew.")
    lines = [line for _, line in numbered]
    by = next((column for column in ("neuron", "unit") if column in header), None)
    if by is None:
        raise ValueError(f"The file '{path}' has no column 'neuron' or 'unit'. Give a CSV file with one.")
    ours = header[1] if len(header) > 2 and header[0] == "neuron" and header[2] == f"{header[1]}_error" else None
    found = {column: match["metric"] for column in header if (match := _COLUMN.fullmatch(column))}
    columns = {ours: ours} if ours else found
    numbers = {column: _numbers(path, lines, column) for column in (by, *columns)}
    neurons = _neurons(path, numbers[by])
    if not ours:
        return tuple(Scores(numbers[column], neurons, metric, 0) for column, metric in columns.items())
    errors = _numbers(path, lines, f"{ours}_error")
    counts = _numbers(path, lines, "n_images").nan_to_num(0) if "n_images" in header else None
    silent = _numbers(path, lines, "silent") == 1 if "silent" in header else None
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
        for origin, rows in _by_origin(path, lines).items()
    )


def _by_origin(path: Path, lines: list[Line]) -> dict[Origin, list[int]]:
    """Return the rows of each origin: several stand in a file that somebody put together."""
    found: dict[Origin, list[int]] = {} if lines else {Origin(): []}
    seen = _numbers(path, lines, "n_seen").tolist() if lines and "n_seen" in lines[0] else [math.nan] * len(lines)
    for row, (line, n_seen) in enumerate(zip(lines, seen, strict=True)):
        names = (line.get(name) or "" for name in ("method", "simulator", "images", "part"))
        origin = Origin(*names, n_seen=None if math.isnan(n_seen) else int(n_seen))
        found.setdefault(origin, []).append(row)
    return found


def _neurons(path: Path, numbers: torch.Tensor) -> tuple[int, ...]:
    wrong = numbers[~(numbers.isfinite() & (numbers == numbers.round()) & (numbers >= 0))]
    if len(wrong):
        raise ValueError(f"A neuron in '{path}' is {float(wrong[0]):g}, not a whole number from 0 on. Correct it.")
    return tuple(int(number) for number in numbers.tolist())


def _numbers(path: Path, lines: list[Line], column: str) -> torch.Tensor:
    values: list[float] = []
    for number, line in enumerate(lines, start=2):
        cell = line[column]
        try:
            values.append(math.nan if cell == "" else float(cell))
        except (ValueError, TypeError):  # of a line that is too short the cell is None
            raise ValueError(
                f"Row {number} of '{path}': {column} is {cell or ''!r}, not a number. "
                "Correct it, or write the file anew."
            ) from None
    return torch.tensor(values, dtype=torch.float64)


def published_sem(scores: Scores) -> float:
    """Return the standard error of the mean as the paper's tables have it: with divisor n for its ablation scores.

    Everywhere else in linexp, our own ablation scores included, and in the paper for correlations, it is n - 1.
    """
    n_defined = len(scores.defined)
    is_theirs = scores.metric.startswith("ablation") and scores.origin is None
    return scores.sem * math.sqrt(1 - 1 / n_defined) if is_theirs and n_defined > 1 else scores.sem
