"""``linexp summarize``: the tables of the paper from files of explanations and scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from linexp.explanation import Explanations
from linexp.report.tables import Cell, Measured, Table, print_table, write_tables
from linexp.score import published_sem, read_scores


def run_summarize(files: Sequence[Path], table: Path | None = None) -> Table:
    """Print the mean length and scores of every file, the scores being those in the file; returns the table.

    Parameters
    ----------
    files
        The paper's published results, explanations of ours, or scores of ours (CSV).
    table
        Where to write the table, too; see ``write_tables``.
    """
    summaries = [_summarize(path) for path in files]
    metrics = tuple(dict.fromkeys(metric for _, scores in summaries for metric in scores))
    undefined = Measured(math.nan, math.nan)
    rows = tuple((*start, *(scores.get(metric, undefined) for metric in metrics)) for start, scores in summaries)
    title = "Mean scores ± standard errors over neurons, as in the files"
    found = Table(("method", "file", "neurons", "terms", "val, selected", "no score", *metrics), rows, title)
    print_table(found)
    if table is not None:
        print(f"  written to {', '.join(map(str, write_tables(table, {'': found})))}")
    return found


def _summarize(path: Path) -> tuple[tuple[Cell, ...], dict[str, Measured]]:
    """Return what identifies and describes a file, and its scores by metric."""
    scores = read_scores(path) if path.suffix.lower() == ".csv" else ()
    method = path.absolute().parent.name
    if scores and scores[0].origin is not None:  # a file of scores says nothing of terms
        lengths: tuple[Cell, ...] = (len(scores[0].neurons), math.nan, math.nan)
        method = scores[0].origin.method or method
    else:
        explanations = Explanations.from_csv(path)
        lengths = (len(explanations), explanations.mean_terms, explanations.mean_val_correlation)
    n_undefined = max((one.n_undefined for one in scores), default=0)
    measured = {one.metric: Measured(one.mean, published_sem(one)) for one in scores}
    return (method, path.stem, *lengths, n_undefined), measured
