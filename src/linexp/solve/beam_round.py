"""One round of a beam search for one neuron, compiled: every formula of the beam is extended by every column."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexp._internal.compiled import compiled
from linexp.solve.bits import Words, count_both
from linexp.solve.formula_scores import score_formula

AND, AND_NOT, OR, OR_NOT = 0, 1, 2, 3
Ints = NDArray[np.int64]
# Places in ``Formulas.facts``: rows a formula holds in, their sum of weights, its length; how it came about, -1 if it
# was there before the round.
COUNT, WEIGHT, _LENGTH, _PARENT, _OPERATOR, _COLUMN = 0, 1, 2, 3, 4, 5
_N_FACTS = 6


class Neuron(NamedTuple):
    """What one neuron's formulas are measured by, and which may be kept."""

    columns: Words  # [columns, words]
    counts: Ints  # of the columns
    every: Words  # the rows there are, [words]
    n_rows: int
    planes: Words  # the weights of the rows, see formula_scores, [planes, words]
    weights: Ints  # of the columns
    all_weights: int
    kind: int
    n_active: int
    least: int
    most: int
    penalty: float
    not_counts: bool


class Formulas(NamedTuple):
    """Formulas, best first, with a place more than are kept: there one is made before it is known whether it is new."""

    masks: Words  # the rows they hold in, [formulas, words]
    facts: Ints  # [formulas, facts]
    scores: NDArray[np.float64]
    steps: Ints  # operators and columns, -1 behind the last, [formulas, 2, columns]


def room_for(n_formulas: int, n_words: int, max_length: int) -> Formulas:
    """Return room for so many formulas."""
    n_places = n_formulas + 1
    return Formulas(
        np.zeros((n_places, n_words), np.uint64),
        np.zeros((n_places, _N_FACTS), np.int64),
        np.full(n_places, -1.0),
        np.full((n_places, 2, max_length), -1, np.int64),
    )


@compiled
def extend_beam(
    neuron: Neuron, old: Formulas, n_old: int, n_stay: int, operators: NDArray[np.bool_], width: int, new: Formulas
) -> int:
    """Fill ``new`` with the best of the first ``n_stay`` old formulas and all extended ones; return how many.

    ``width`` of them and those as good as the last, as far as there is room; of those that hold in the same rows one.
    """
    for place in range(n_stay):
        new.masks[place], new.facts[place], new.scores[place] = old.masks[place], old.facts[place], old.scores[place]
        new.facts[place, _PARENT], new.facts[place, _OPERATOR] = place, -1
    n_kept = _cut(new, n_stay, width)
    inside = np.empty_like(neuron.planes)
    for parent in range(n_old):
        inside[:] = neuron.planes & old.masks[parent]
        for column in range(len(neuron.columns)):
            both = count_both(old.masks[parent], neuron.columns[column])
            weight = weigh(inside, neuron.columns[column])
            for operator in range(len(operators)):
                if operators[operator]:
                    n_kept = _offer(neuron, old, parent, column, operator, both, weight, width, new, n_kept)
    for place in range(n_kept):
        new.steps[place] = old.steps[new.facts[place, _PARENT]]
        if new.facts[place, _OPERATOR] >= 0:
            step = 0
            while new.steps[place, 0, step] >= 0:
                step += 1
            new.steps[place, 0, step] = new.facts[place, _OPERATOR]
            new.steps[place, 1, step] = new.facts[place, _COLUMN]
    return n_kept


@compiled
def weigh(planes: Words, column: Words) -> int:
    """Return the sum of the weights of a column's rows."""
    total = 0
    for plane in range(len(planes)):
        total += count_both(planes[plane], column) << plane
    return total


@compiled
def weigh_columns(planes: Words, columns: Words) -> Ints:
    """Return the sum of the weights of each column's rows."""
    sums = np.empty(len(columns), np.int64)
    for column in range(len(columns)):
        sums[column] = weigh(planes, columns[column])
    return sums


@compiled
def _offer(
    neuron: Neuron,
    old: Formulas,
    parent: int,
    column: int,
    operator: int,
    both: int,
    weight: int,
    width: int,
    new: Formulas,
    n_kept: int,
) -> int:
    """Keep an old formula joined with a column, if it is good enough; return how many there are then."""
    count, total = _joined(neuron, old.facts[parent], column, operator, both, weight)
    # "And" lies inside the old formula and "or" around it, so one that holds in as many rows is not new.
    if count < neuron.least or count > neuron.most or count == old.facts[parent, COUNT]:
        return n_kept
    length = old.facts[parent, _LENGTH] + 1
    if neuron.not_counts and (operator == AND_NOT or operator == OR_NOT):  # noqa: SIM109 - what compiles
        length += 1
    score = score_formula(neuron.kind, count, total, neuron.n_rows, neuron.n_active)
    if score < 0:
        return n_kept
    score *= neuron.penalty ** (length - 1)
    spare = len(new.scores) - 1
    if (n_kept >= width and score < new.scores[width - 1]) or (n_kept == spare and score <= new.scores[spare - 1]):
        return n_kept
    _join(old.masks[parent], neuron.columns[column], neuron.every, operator, new.masks[spare])
    facts = (count, total, length, parent, operator, column)
    for place in range(_N_FACTS):
        new.facts[spare, place] = facts[place]
    new.scores[spare] = score
    return _cut(new, _keep(new, n_kept), width)


@compiled
def _joined(neuron: Neuron, facts: Ints, column: int, operator: int, both: int, weight: int) -> tuple[int, int]:
    """Return the rows a formula joined with a column holds in, and their weights, from those that both have."""
    if operator == AND:
        return both, weight
    if operator == AND_NOT:
        return facts[COUNT] - both, facts[WEIGHT] - weight
    if operator == OR:
        return facts[COUNT] + neuron.counts[column] - both, facts[WEIGHT] + neuron.weights[column] - weight
    return neuron.n_rows - neuron.counts[column] + both, neuron.all_weights - neuron.weights[column] + weight


@compiled
def _join(mask: Words, column: Words, every: Words, operator: int, joined: Words) -> None:
    for place in range(len(mask)):
        if operator == AND:
            joined[place] = mask[place] & column[place]
        elif operator == AND_NOT:
            joined[place] = mask[place] & ~column[place]
        elif operator == OR:
            joined[place] = mask[place] | column[place]
        else:
            joined[place] = mask[place] | (every[place] & ~column[place])


@compiled
def _keep(new: Formulas, n_kept: int) -> int:
    """Move the formula in the spare place to where it belongs, unless its rows are those of one at least as good."""
    spare = len(new.scores) - 1
    end = min(n_kept, spare - 1)  # the last one falls out if the beam is full
    for place in range(n_kept):
        if _hold_alike(new, place, spare):
            if new.scores[spare] <= new.scores[place]:
                return n_kept
            end = place
            n_kept -= 1
            break
    while end > 0 and new.scores[end - 1] < new.scores[spare]:
        new.masks[end], new.facts[end], new.scores[end] = new.masks[end - 1], new.facts[end - 1], new.scores[end - 1]
        end -= 1
    new.masks[end], new.facts[end], new.scores[end] = new.masks[spare], new.facts[spare], new.scores[spare]
    return min(n_kept + 1, spare)


@compiled
def _cut(new: Formulas, n_kept: int, width: int) -> int:
    """Return how many are left without those behind the beam's width that are worse than the last in it."""
    while n_kept > width and new.scores[n_kept - 1] < new.scores[width - 1]:
        n_kept -= 1
    return n_kept


@compiled
def _hold_alike(new: Formulas, first: int, second: int) -> bool:
    """Tell whether two formulas hold in the same rows."""
    if new.facts[first, COUNT] != new.facts[second, COUNT] or new.facts[first, WEIGHT] != new.facts[second, WEIGHT]:
        return False
    return np.array_equal(new.masks[first], new.masks[second])
