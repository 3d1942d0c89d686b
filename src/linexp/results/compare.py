"""What is printed of several methods: one table of all, and the differences, neuron by neuron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import torch

from linexp.matrix import DEAD_BELOW
from linexp.results.result import Result
from linexp.results.tables import Cell, Measured, Table, draw_table, write_tables
from linexp.score import FAILING, Origin, Scores, compare_scores

# In the files, but too wide for the terminal.
_DETAILS = ("simulator", "images", "part", "n_images")
# How many of the images scored on the explanations have seen, and how many of their terms the simulator does not know.
_SEEN, _UNKNOWN = "fitted on", "unknown terms"


def tell_tables(found: Sequence[Result], path: Path | None) -> str:
    """Return the table of all methods and their differences as text; with a path, write them (see ``write_tables``).

    Methods of the same neurons on the same images are compared on the neurons that all of them explain.
    """
    whole = same_neurons(found)
    groups = [on_shared_neurons(group) for group in whole]
    tables = {"": _table(groups)}
    differences = [row for group in groups for row in _differences(group)]
    if differences:
        title = "Differences of scores, paired by neuron, with 95 % confidence intervals over neurons"
        columns = ("layer", "first", "second", "metric", "difference", "from", "to", "neurons")
        tables["-differences"] = Table(columns, tuple(differences), title)
    lines: list[str] = []
    for before, after in zip(itertools.chain(*whole), itertools.chain(*groups), strict=True):
        if len(after.explanations) < len(before.explanations):
            counts = f"{len(after.explanations):,} of its {len(before.explanations):,} neurons"
            lines.append(f"{_origin(before).method}: {counts}, those that all methods explain")
    lines += filter(None, (_why_no_differences(one[0], other[0]) for one, other in itertools.combinations(whole, 2)))
    lines += tell_failing(found[0].scores)
    if path is not None:
        lines.append(f"  written to {', '.join(map(str, write_tables(path, tables)))}")
    drawn = "".join(draw_table(_shown(table)) for table in tables.values())
    return drawn.removesuffix("\n") + "".join(f"\n{line}" for line in lines)


def tell_failing(scores: Sequence[Scores]) -> list[str]:
    """Return a line for each score that failed a sanity check."""
    known = [(one.metric, FAILING.get(one.metric.split("@")[0])) for one in scores]
    return [f"{metric} {failed}: better not to choose by it." for metric, failed in known if failed is not None]


def _origin(scored: Result) -> Origin:
    """Say where the scores are from; the same for all metrics."""
    return scored.scores[0].origin or Origin()


def _rows_of(scored: Result) -> torch.Tensor:
    """Return the places of the images scored on among all."""
    return scored.rows(_origin(scored).part or "test")


def same_neurons(found: Sequence[Result]) -> list[list[Result]]:
    """Put together what is about the same neurons on the same images, in the order of first occurrence."""
    groups: list[list[Result]] = []
    for scored in found:
        group = next((group for group in groups if _are_same(group[0], scored)), None)
        if group is None:
            groups.append([scored])
        else:
            group.append(scored)
    return groups


def _are_same(first: Result, second: Result) -> bool:
    """Say whether two recordings agree on the neurons that are in both; names alone do not make neurons the same."""
    one, other = first.activations, second.activations
    if (one.layer, one.images, len(_rows_of(first))) != (other.layer, other.images, len(_rows_of(second))):
        return False
    shared = sorted(set(one.neurons) & set(other.neurons))
    seen = (each.activations.select(shared).block(_rows_of(each)) for each in (first, second))
    return bool(shared) and torch.equal(*seen)


def _why_no_differences(first: Result, second: Result) -> str:
    """Say why two methods of one layer are not compared if it is because of the images; "" if it is obvious."""
    one, other = first.activations, second.activations
    rows, others = (set(_rows_of(each).tolist()) for each in (first, second))
    if (one.layer, one.images) != (other.layer, other.images) or rows == others:
        return ""
    return (
        f"No differences between {_origin(first).method} and {_origin(second).method}: they are scored on different "
        f"images ({len(rows):,} and {len(others):,}, {len(rows & others):,} of them the same). Explain with one split "
        "for both (--seed, --split)."
    )


def on_shared_neurons(group: Sequence[Result]) -> list[Result]:
    """Return what is known of the neurons that all of some methods explain; of all if there are none."""
    if len(group) == 1:
        return list(group)
    shared = set.intersection(*(set(scored.explanations.neurons) for scored in group))
    if not shared:
        return list(group)
    return [scored.only([neuron for neuron in group[0].explanations.neurons if neuron in shared]) for scored in group]


def _table(groups: Sequence[Sequence[Result]]) -> Table:
    start = ("method", "layer", "neurons", "terms", "val, selected", "dead", "no score", "silent")
    columns = (*start, _SEEN, _UNKNOWN, *_DETAILS)
    everything = [scored for group in groups for scored in group]
    metrics = tuple(dict.fromkeys(scores.metric for scored in everything for scores in scored.scores))
    rows = tuple(row for scored in everything for row in _rows(scored, metrics))
    return Table((*columns, *metrics), rows, "Mean scores ± standard errors over neurons")


def _shown(table: Table) -> Table:
    """Return what the terminal has room for: no details, and no column that is the same for everyone as usual."""
    usual = [(_SEEN, 0), (_UNKNOWN, "–")]
    places = [(name, table.columns.index(name), value) for name, value in usual if name in table.columns]
    empty = [name for name, place, value in places if all(row[place] == value for row in table.rows)]
    return table.without([*_DETAILS, *empty])


def _rows(scored: Result, metrics: Sequence[str]) -> list[tuple[Cell, ...]]:
    alive = without_dead(scored)
    rows = [_row(scored, _origin(scored).method, metrics)]
    rows += [] if alive is None else [_row(alive, f"{_origin(scored).method}, without dead", metrics)]
    explained = _explained(scored)
    return rows if explained is None else [*rows, _row(explained, f"{_origin(scored).method}, explained only", metrics)]


def _explained(scored: Result) -> Result | None:
    """Return what is known of the neurons that are not silent; ``None`` if all are such, or none."""
    first = scored.scores[0]
    if first.silent is None or not first.n_silent:
        return None
    told = [neuron for neuron, silent in zip(first.neurons, first.silent.tolist(), strict=True) if not silent]
    return scored.only(told) if told else None


def without_dead(scored: Result) -> Result | None:
    """Return what is known of the neurons that are not dead; ``None`` if no dead one has a score (Tables 14 and 15)."""
    neurons = scored.explanations.neurons
    alive = [neuron for neuron in neurons if neuron not in scored.dead]
    dead = [neuron for neuron in neurons if neuron in scored.dead]
    count = any(len(scores.only(dead).defined) for scores in scored.scores)
    return scored.only(alive) if count and alive else None


def tell_without_dead(scored: Result) -> list[str]:
    """Write the mean scores of the neurons that are not dead, a line for each metric; none where that is the same."""
    alive = without_dead(scored)
    n_dead = len(scored.dead.intersection(scored.explanations.neurons))
    neurons = "dead neuron" if n_dead == 1 else "dead neurons"
    start = f"without {n_dead} {neurons} (activation below {DEAD_BELOW} on all recorded images)"
    return [] if alive is None else [f"  {start}: {scores}" for scores in alive.scores]


def _row(scored: Result, name: str, metrics: Sequence[str]) -> tuple[Cell, ...]:
    explanations, origin, first = scored.explanations, _origin(scored), scored.scores[0]
    by_metric = {scores.metric: Measured(scores.mean, scores.sem) for scores in scored.scores}
    return (
        name,
        scored.activations.layer,
        len(explanations),
        round(explanations.mean_terms, 4),
        explanations.mean_val_correlation,
        len(scored.dead.intersection(explanations.neurons)),
        count_unscored(scored.scores),
        math.nan if first.silent is None else first.n_silent,
        "unknown" if origin.n_seen is None else origin.n_seen,
        scored.simulability[0].count_unknown(explanations) if scored.simulability else "–",
        *(origin.simulator, origin.images[:12], origin.part, first.n_images),
        *(by_metric.get(metric, Measured(math.nan, math.nan)) for metric in metrics),
    )


def count_unscored(scores: Sequence[Scores]) -> int:
    """Count the neurons, dead ones too, that at least one of several metrics gives no score: the column "no score"."""
    pairs = (zip(one.neurons, one.values.tolist(), strict=True) for one in scores)
    return len({neuron for neuron, score in itertools.chain(*pairs) if math.isnan(score)})


def _differences(group: Sequence[Result]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for first, second in itertools.combinations(group, 2):
        if _origin(first).simulator != _origin(second).simulator:
            continue  # a stricter judge would pass for a worse method
        for one, other in zip(first.scores, second.scores, strict=True):
            if one.metric != other.metric:
                continue  # the same neurons in networks that go on otherwise
            found = compare_scores(one, other)
            names = (_origin(scored).method for scored in (first, second))
            mean = Measured(found.mean, found.sem)
            rows.append((first.activations.layer, *names, found.metric, mean, found.low, found.high, found.n_neurons))
    return rows
