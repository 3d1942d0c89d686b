"""The tables of a comparison: Tables 2 and 4 of the paper for one layer, and how sure the differences are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from linexp.explanations import Explanations, Formula
from linexp.results.compare import count_unscored, on_shared_neurons
from linexp.results.result import Result
from linexp.results.tables import Cell, Measured, Table
from linexp.score import Origin, Scores, compare_scores

if TYPE_CHECKING:
    import pandas as pd

# The same for all methods, or too wide for the terminal: in the files alone.
_DETAILS = ("layer", "neurons", "concepts", "dead", "no score", "simulator", "images", "part", "n_images")


def methods_table(results: Sequence[Result], seconds: Sequence[float]) -> Table:
    """Return a line for each method: means over the neurons that all of them explain, and what to know of them.

    Behind each score stands how much higher it is than that of the first method, paired by neuron.
    """
    shared = on_shared_neurons(results)
    metrics = [one.metric for one in shared[0].scores]
    pairs = [name for metric in metrics for name in (metric, f"{metric} − {shared[0].method}")]
    columns = ("method", "terms", "length", *pairs, "explained", "silent", *_DETAILS, "seconds")
    rows = tuple(
        (*_start(one), *_pairs(one, shared[0]), *_counts(one), f"{took:.1f}")
        for one, took in zip(shared, seconds, strict=True)
    )
    return Table(columns, rows, _title(shared))


def differences_table(results: Sequence[Result]) -> Table:
    """Return how much higher each method but the first scores than the first, with confidence intervals."""
    first, *others = on_shared_neurons(results)
    rows: list[tuple[Cell, ...]] = []
    for other in others:
        for one, before in zip(other.scores, first.scores, strict=True):
            found = compare_scores(one, before)
            mean = Measured(found.mean, found.sem)
            names = other.activations.layer, other.method, first.method, found.metric
            rows.append((*names, mean, found.low, found.high, found.n_neurons))
    title = "Differences of scores, paired by neuron, with 95 % confidence intervals over neurons"
    return Table(("layer", "first", "second", "metric", "difference", "from", "to", "neurons"), tuple(rows), title)


def shown(table: Table) -> Table:
    """Return what the terminal and a notebook have room for; what is left out stands in the title."""
    terms, length, silent = (table.columns.index(name) for name in ("terms", "length", "silent"))
    empty = ["silent"] if all(row[silent] == 0 for row in table.rows) else []
    empty += ["length"] if all(row[length] == row[terms] for row in table.rows) else []
    empty += [column for column in table.columns if " − " in column] if len(table.rows) == 1 else []
    return table.without([*_DETAILS, *empty])


def per_neuron(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Return scores as a pandas table, a row for each neuron and a column for each method."""
    import pandas as pd

    columns = {
        name: pd.Series(one.values.tolist(), index=pd.Index(one.neurons, name="neuron")) for name, one in scores.items()
    }
    return pd.DataFrame(columns)


def _start(one: Result) -> tuple[Cell, ...]:
    return one.method, round(one.explanations.mean_terms, 4), round(_length(one.explanations), 4)


def _length(explanations: Explanations) -> float:
    """Return how many concepts the explained neurons' terms name in the mean: a formula counts as long as it is."""
    told = [item.concepts for item in explanations if item.outcome == "explained"]
    lengths = [one.length if isinstance(one, Formula) else 1 for concepts in told for one in concepts]
    return sum(lengths) / len(told) if told else 0.0


def _pairs(one: Result, first: Result) -> list[Cell]:
    cells: list[Cell] = []
    for scores, before in zip(one.scores, first.scores, strict=True):
        cells.append(Measured(scores.mean, scores.sem))
        found = None if one is first else compare_scores(scores, before)
        cells.append(Measured(math.nan, math.nan) if found is None else Measured(found.mean, found.sem))
    return cells


def _counts(one: Result) -> tuple[Cell, ...]:
    explanations, scores = one.explanations, one.scores[0]
    origin = scores.origin or Origin()
    return (
        explanations.n_with("explained"),
        scores.n_silent,
        one.activations.layer,
        len(explanations),
        one.concepts.n_concepts - len(explanations.dropped or ()),
        _n_dead(one),
        count_unscored(one.scores),
        *(origin.simulator, origin.images[:12], origin.part, scores.n_images),
    )


def _n_dead(one: Result) -> int:
    return len(one.dead.intersection(one.explanations.neurons))


def _title(results: Sequence[Result]) -> str:
    first, scores = results[0], results[0].scores[0]
    layer = f"Layer {first.activations.layer}: " if first.activations.layer else ""
    simulator = (scores.origin or Origin()).simulator
    judge = f", judged by {'the concepts that explained' if simulator == first.judge else simulator}"
    beside = f"; differences to {first.method} paired by neuron" if len(results) > 1 else ""
    return (
        f"{layer}mean scores ± standard errors over {len(scores.neurons):,} neurons ({_n_dead(first):,} dead, "
        f"{_tell_unscored(first.scores)}) on {scores.n_images:,} test {scores.rows_are}{judge}{beside}"
    )


def _tell_unscored(scores: Sequence[Scores]) -> str:
    """Say how many neurons have no score: once if each metric leaves out as many, else of those that leave out some."""
    if len({one.n_undefined for one in scores}) == 1:
        return f"{scores[0].n_undefined:,} without a score"
    return ", ".join(f"{one.n_undefined:,} without {one.metric}" for one in scores if one.n_undefined)
