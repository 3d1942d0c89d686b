"""Beam search for logical formulas of columns, for every neuron at once; duplicates by their rows are never kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexp._internal.compiled import share_neurons
from linexp.solve.beam_round import (
    AND,
    AND_NOT,
    COUNT,
    OR,
    OR_NOT,
    WEIGHT,
    Formulas,
    Neuron,
    extend_beam,
    room_for,
    weigh,
    weigh_columns,
)
from linexp.solve.bits import Words, all_rows, count_both, joint_counts
from linexp.solve.formula_scores import AUROC, IOU, planes_of, score_formula
from linexp.solve.mid_ranks import doubled_ranks

__all__ = ["AND", "AND_NOT", "OR", "OR_NOT", "Beam", "BeamSearch", "search_auroc", "search_iou"]
# Places for each formula of a beam. Formulas as good as the last in it stay too: which of them leads further is not
# known, and on few rows many are equal. Twice the width bounds time and memory where very many are.
_ROOM = 2


@dataclass(frozen=True)
class BeamSearch:
    """Settings of a beam search.

    Parameters
    ----------
    max_length
        Rounds: the first takes single columns, each later one extends every formula of the beam by a column.
    beam
        Formulas kept after a round, from those it began with and the new ones: those with the highest scores, and up
        to as many again that are as good as the last of them.
    first_beam
        The same for the first round.
    operators
        What a column may be joined by. With "or not" among them a formula may also begin with "not".
    least, most
        Number of rows in which a formula must hold, at least and at most.
    penalty
        What the score is multiplied by for each column after the first, above 0 and at most 1.
    not_counts
        Whether a "not" counts as one more column for the penalty.
    """

    max_length: int
    beam: int
    first_beam: int
    operators: Sequence[int]
    least: int = 0
    most: int = 2**62
    penalty: float = 1.0
    not_counts: bool = False


@dataclass(frozen=True, eq=False)
class Beam:
    """The formulas at the end, for each neuron the best first.

    Parameters
    ----------
    operators
        By what each column of a formula is joined to those before it [neurons, beam, columns]; the first is ``AND``,
        or ``AND_NOT`` where the formula begins with "not". -1 behind the last column.
    columns
        The columns [neurons, beam, columns]; -1 behind the last.
    counts
        Number of rows in which a formula holds [neurons, beam].
    scores
        IoU or AUROC, without penalty [neurons, beam]; -1 where there is no formula.
    """

    operators: NDArray[np.int64]
    columns: NDArray[np.int64]
    counts: NDArray[np.int64]
    scores: NDArray[np.float64]

    @staticmethod
    def empty(n_neurons: int, search: BeamSearch) -> Beam:
        """Return one with room for what a search finds."""
        shape = (n_neurons, search.beam if search.max_length > 1 else search.first_beam)
        steps = (*shape, search.max_length)
        return Beam(
            np.full(steps, -1, np.int64),
            np.full(steps, -1, np.int64),
            np.zeros(shape, np.int64),
            np.full(shape, -1.0),
        )

    def formula(self, neuron: int, place: int = 0) -> tuple[tuple[int, int], ...]:
        """Return a formula as pairs of operator and column; empty where there is none."""
        pairs = zip(self.operators[neuron, place].tolist(), self.columns[neuron, place].tolist(), strict=True)
        return tuple((operator, column) for operator, column in pairs if column >= 0)


def search_iou(columns: Words, active: Words, n_rows: int, search: BeamSearch) -> Beam:
    """Find formulas of columns with a high IoU with each neuron's active rows.

    Parameters
    ----------
    columns
        Packed columns [columns, words].
    active
        Packed active rows [neurons, words].
    n_rows
        Number of rows.
    search
        What formulas, and how many are kept.

    Notes
    -----
    A beam is no proof of the optimum. Without penalty the score never falls when ``max_length`` grows.
    """

    def planes(neuron: int) -> tuple[Words, int]:
        return active[neuron : neuron + 1], count_both(active[neuron], active[neuron])

    return _search(columns, planes, len(active), n_rows, IOU, search)


def search_auroc(columns: Words, values: NDArray[np.floating], search: BeamSearch) -> Beam:
    """Find formulas of columns in whose rows a neuron is higher than elsewhere: AUROC by mid-ranks.

    Parameters
    ----------
    columns
        Packed columns [columns, words].
    values
        Activations [rows, neurons].
    search
        What formulas, and how many are kept.
    """
    n_rows = len(values)
    n_planes = (2 * n_rows).bit_length()

    def planes(neuron: int) -> tuple[Words, int]:
        ranks, found = np.empty(n_rows, np.int64), np.empty((n_planes, columns.shape[1]), np.uint64)
        doubled_ranks(np.ascontiguousarray(values[:, neuron], np.float64), ranks)
        planes_of(ranks, found)
        return found, 0

    return _search(columns, planes, values.shape[1], n_rows, AUROC, search)


def _search(
    columns: Words,
    planes: Callable[[int], tuple[Words, int]],
    n_neurons: int,
    n_rows: int,
    kind: int,
    search: BeamSearch,
) -> Beam:
    found, every = Beam.empty(n_neurons, search), all_rows(n_rows)
    counts = joint_counts(columns, every[None])[:, 0].numpy()

    def work(start: int, end: int) -> None:
        for neuron in range(start, end):
            weights, n_active = planes(neuron)
            sums = weigh_columns(weights, columns)
            one = Neuron(
                columns,
                counts,
                every,
                n_rows,
                weights,
                sums,
                int(weigh(weights, every)),
                kind,
                n_active,
                search.least,
                min(search.most, n_rows),
                search.penalty,
                search.not_counts,
            )
            _fill(found, neuron, one, *_search_one(one, search))

    share_neurons(n_neurons, work)
    return found


def _search_one(neuron: Neuron, search: BeamSearch) -> tuple[Formulas, int]:
    """Return the formulas at the end, and how many they are."""
    n_words = neuron.columns.shape[1]
    joins = np.array([operator in search.operators for operator in (AND, AND_NOT, OR, OR_NOT)])
    # The first round takes columns out of all rows: "and" is a column, "and not" its negation.
    first_joins = np.array([True, joins[OR_NOT], False, False])
    kept, n_kept = room_for(1, n_words, search.max_length), 1
    kept.masks[0], kept.facts[0, COUNT], kept.facts[0, WEIGHT] = neuron.every, neuron.n_rows, neuron.all_weights
    for step in range(search.max_length):
        width = search.beam if step else search.first_beam
        new = room_for(_ROOM * width, n_words, search.max_length)
        n_stay = min(n_kept, _ROOM * width) if step else 0
        n_kept = extend_beam(neuron, kept, n_kept, n_stay, joins if step else first_joins, width, new)
        kept = new
    return kept, n_kept


def _fill(found: Beam, neuron: int, one: Neuron, kept: Formulas, n_kept: int) -> None:
    for place in range(min(n_kept, found.scores.shape[1])):
        count, weight = kept.facts[place, COUNT], kept.facts[place, WEIGHT]
        found.operators[neuron, place], found.columns[neuron, place] = kept.steps[place]
        found.counts[neuron, place] = count
        found.scores[neuron, place] = score_formula(one.kind, count, weight, one.n_rows, one.n_active)
