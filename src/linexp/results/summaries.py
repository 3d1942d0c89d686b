"""The tables of the paper from files of explanations and scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linexp.explanations import Explanations
from linexp.results.compare import count_unscored
from linexp.results.tables import Cell, Measured, Table
from linexp.score import Origin, Scores, published_sem, read_scores

_COLUMNS = ("method", "file", "simulator", "part", "neurons", "terms", "val, selected", "no score", "silent")
_IF_KNOWN = ("simulator", "part", "silent")


@dataclass(frozen=True)
class _Summary:
    """What identifies and describes explanations, and their scores by metric."""

    start: tuple[Cell, ...]
    scores: dict[str, Measured] = field(default_factory=dict[str, Measured])


def summarize_files(files: Sequence[Path]) -> tuple[Table, dict[Path, Exception]]:
    """Return the mean length and scores of every file, the scores being those in the file.

    Parameters
    ----------
    files
        The paper's published results, explanations of ours, or scores of ours (CSV).

    Returns
    -------
    table
        A line for each file, or for each origin of the scores in it.
    odd
        Files that cannot be read, each with its reason.

    Raises
    ------
    OSError, ValueError
        What is wrong with the first file, if none can be read.
    """
    summaries: list[_Summary] = []
    odd: dict[Path, Exception] = {}
    for path in files:
        try:
            summaries += _summarize(path)
        except (OSError, ValueError) as error:
            odd[path] = error
    if not summaries:
        raise next(iter(odd.values()))
    return _table(summaries), odd


def _table(summaries: Sequence[_Summary]) -> Table:
    metrics = tuple(dict.fromkeys(metric for one in summaries for metric in one.scores))
    undefined = Measured(math.nan, math.nan)
    rows = tuple((*one.start, *(one.scores.get(metric, undefined) for metric in metrics)) for one in summaries)
    found = Table((*_COLUMNS, *metrics), rows, "Mean scores ± standard errors over neurons, as in the files")
    return found.without([name for name in _IF_KNOWN if not any(_is_known(row[_COLUMNS.index(name)]) for row in rows)])


def _is_known(cell: Cell) -> bool:
    return cell != "" and not (isinstance(cell, float) and math.isnan(cell))


def _summarize(path: Path) -> Iterator[_Summary]:
    """Yield a line for the file, or for each origin of the scores in it."""
    scores = read_scores(path) if path.suffix.lower() == ".csv" else ()
    folder = path.absolute().parent.name
    if scores and scores[0].origin is not None:  # a file of scores says nothing of terms
        for one in scores:
            origin = one.origin or Origin()
            method, known = origin.method or folder, (path.stem, origin.simulator, origin.part)
            rest = math.nan, math.nan, *_gaps([one])
            yield _Summary((method, *known, len(one.neurons), *rest), {one.metric: _measured(one)})
            if one.n_silent:
                explained = Measured(one.mean_explained, one.sem_explained)
                start = f"{method}, explained only", *known, len(one.neurons) - one.n_silent, *rest[:-1], 0
                yield _Summary(start, {one.metric: explained})
        return
    explanations = Explanations.from_csv(path)
    lengths = len(explanations), explanations.mean_terms, explanations.mean_val_correlation
    means = {one.metric: _measured(one) for one in scores}
    yield _Summary((folder, path.stem, "", "", *lengths, *_gaps(scores)), means)


def _gaps(scores: Sequence[Scores]) -> tuple[Cell, Cell]:
    """Return how many neurons have no score, and how many of those that have one are silent, where that is known."""
    if not scores:
        return math.nan, math.nan
    return count_unscored(scores), math.nan if scores[0].silent is None else scores[0].n_silent


def _measured(scores: Scores) -> Measured:
    return Measured(scores.mean, published_sem(scores))
