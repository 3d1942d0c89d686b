"""Least squares on the moments of shortlists: the same steps as on those of all concepts."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array, Indices, compiled
from linexp.solve.least_squares import UNDEFINED, Solution, refit
from linexp.solve.shortlist import Shortlist, ShortlistMoments


def refit_among(train: ShortlistMoments, val: ShortlistMoments, wanted: Indices) -> Solution:
    """Fit concepts of each neuron's shortlist [neurons, terms] (-1: none), in order, leaving out collinear ones."""
    solution = Solution.empty(*wanted.shape)
    where, sides = (train.shortlist.starts, train.shortlist.squares), (train.gram, train.cross, val.gram, val.cross)
    _refit_neurons(in_shortlist(wanted, train.shortlist), *where, *sides, val.neuron_variance, *solution.parts)
    return _in_all_concepts(solution, train)


def _in_all_concepts(solution: Solution, moments: ShortlistMoments) -> Solution:
    """Replace places in the shortlists by the numbers of their concepts."""
    found = solution.concepts
    entries = np.where(found >= 0, found + moments.shortlist.starts[:-1, None], 0)
    concepts = moments.shortlist.concepts
    numbers = concepts[entries] if len(concepts) else entries
    return Solution(np.where(found >= 0, numbers, -1), solution.weights, solution.val_correlation)


def in_shortlist(wanted: Indices, shortlist: Shortlist) -> Indices:
    """Replace the numbers of concepts by their places in the shortlists."""
    most = max(int(shortlist.concepts.max(initial=0)), int(wanted.max(initial=0))) + 1
    keys = shortlist.neurons * most + shortlist.concepts  # one number for each pair of a neuron and a concept
    order = np.argsort(keys, kind="stable")
    neurons, columns = np.nonzero(wanted >= 0)
    found = order[np.searchsorted(keys, neurons * most + wanted[neurons, columns], sorter=order)]
    places = np.full_like(wanted, -1)
    places[neurons, columns] = found - shortlist.starts[neurons]
    return places


@compiled
def _refit_neurons(
    wanted: Indices,
    starts: Indices,
    squares: Indices,
    gram: Array,
    cross: Array,
    val_gram: Array,
    val_cross: Array,
    val_variance: Array,
    concepts: Indices,
    weights: Array,
    val_correlation: Array,
) -> None:
    for neuron in range(len(wanted)):
        start, end = starts[neuron], starts[neuron + 1]
        inner, shape = slice(squares[neuron], squares[neuron + 1]), (end - start, end - start)
        train = (gram[inner].reshape(shape), cross[start:end])
        val = (val_gram[inner].reshape(shape), val_cross[start:end], val_variance[neuron])
        value = refit(*train, *val, wanted[neuron], concepts[neuron], weights[neuron])
        if value != UNDEFINED:
            val_correlation[neuron] = value
