"""Sums over rows for shortlists: of all rows, or of each group of them in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.compiled import Array, Indices, compiled, compiled_sum, share_neurons
from linexp.solve.moments import recut
from linexp.solve.shortlist import Shortlist, ShortlistMoments

# Rows looked at a time: few enough for those of all concepts to stay in the cache while every neuron takes its own, and
# enough for a sum over the rows of one group in twenty to be long.
_PIECE_ROWS = 1024

Blocks = Iterable[tuple[Float[Tensor, "rows concepts"], Float[Tensor, "rows neurons"]]]


def accumulate_shortlist(blocks: Blocks, shortlist: Shortlist) -> ShortlistMoments:
    """Sum the moments of row blocks of all concepts and neurons, given together, as far as a shortlist asks for them.

    The products are float64, and there are few of them: the square of the length of each neuron's list. How the rows
    are cut into blocks does not change the result.

    Raises
    ------
    ValueError
        There is no row at all.
    """
    return accumulate_groups(blocks, 1, shortlist)[0]


def accumulate_groups(blocks: Blocks, n_groups: int, shortlist: Shortlist) -> list[ShortlistMoments]:
    """Do for groups of rows what ``accumulate_shortlist`` does for all, in one pass.

    With a stride, so that rows sorted by class spread evenly: row i belongs to group i modulo ``n_groups``.

    Raises
    ------
    ValueError
        There are fewer rows than groups.
    """
    n_neurons, n_entries = len(shortlist.starts) - 1, len(shortlist.concepts)
    named, places = np.unique(shortlist.concepts, return_inverse=True)
    means = [np.zeros((length, n_groups)) for length in (len(named), n_neurons)]
    products = [np.zeros((length, n_groups)) for length in (int(shortlist.squares[-1]), n_entries, n_neurons)]
    n_rows = 0
    for concepts, neurons in recut(blocks, n_groups * max(_PIECE_ROWS // n_groups, 1)):
        groups = [np.arange(group, len(concepts), n_groups) for group in range(n_groups)]
        order, ends = np.concatenate(groups), np.cumsum(list(map(len, groups)))
        n_before, sizes = n_rows // n_groups, np.diff(ends, prepend=0)
        new = sizes / np.maximum(n_before + sizes, 1)  # what of the rows of a group that there then are is new
        present = _centre(concepts, named, order, ends, new, means[0])
        active = _centre(neurons, slice(None), order, ends, new, means[1])
        lists = (places, shortlist.starts, shortlist.squares)
        share_neurons(n_neurons, _add_piece, present, active, ends, n_before * new, *lists, *products)
        n_rows += len(concepts)
    if n_rows < n_groups:
        what, remedy = ("to take moments of", "one image") if n_groups == 1 else (f"for {n_groups} groups", "that many")
        raise ValueError(f"There are {n_rows} rows {what}. Give at least {remedy}.")
    sizes = np.array([len(range(group, n_rows, n_groups)) for group in range(n_groups)])
    sums = (means[0][places], means[1], *(total / sizes for total in products))
    sums = [np.ascontiguousarray(part.T) for part in sums]
    return [ShortlistMoments(int(size), shortlist, *(part[group] for part in sums)) for group, size in enumerate(sizes)]


class _Centred(NamedTuple):
    """Some columns of a piece of rows, ordered by group, less the mean of their group here: ``values`` [columns, rows].

    ``gaps`` [columns, groups]: how far that mean is from the mean of the group's rows before.
    """

    values: Array
    gaps: Array


def _centre(rows: Tensor, columns: Indices | slice, order: Indices, ends: Indices, new: Array, mean: Array) -> _Centred:
    """Return some columns of rows centred, each column's values side by side, and bring the means up to date."""
    given = rows.cpu().to(torch.promote_types(rows.dtype, torch.float32)).numpy()
    values = np.ascontiguousarray(given[order][:, columns].T, dtype=np.float64)
    centred = _Centred(values, np.zeros(mean.shape))
    share_neurons(len(values), _centre_columns, ends, new, mean, *centred)
    return centred


@compiled_sum
def _centre_columns(first: int, last: int, ends: Indices, new: Array, mean: Array, values: Array, gaps: Array) -> None:
    """Values are first taken less that of their group's first row: so a column that is all the same leaves zeros."""
    for column in range(first, last):
        own, gap, start = values[column], gaps[column], 0
        for group in range(len(ends)):
            end, total = ends[group], 0.0
            if start < end:
                origin = own[start]
                for row in range(start, end):
                    own[row] -= origin
                    total += own[row]
                total /= end - start
                for row in range(start, end):
                    own[row] -= total
                gap[group] = origin + total - mean[column, group]
                mean[column, group] += gap[group] * new[group]
            start = end


@compiled
def _add_piece(
    first: int,
    last: int,
    present: _Centred,
    active: _Centred,
    ends: Indices,
    between: Array,
    concepts: Indices,
    starts: Indices,
    squares: Indices,
    gram: Array,
    cross: Array,
    variance: Array,
) -> None:
    """Add some rows to the sums of products about the means of their groups, for some neurons.

    Column by column, and there group by group: so a sum is over numbers that stand side by side.
    """
    for neuron in range(first, last):
        start, corner = starts[neuron], squares[neuron]
        width = starts[neuron + 1] - start
        for place in range(width):
            concept = int(concepts[start + place])
            for other in range(place + 1):
                total = gram[corner + place * width + other]
                _add_products(present, concept, present, int(concepts[start + other]), ends, between, total)
                gram[corner + other * width + place] = total
            _add_products(active, neuron, present, concept, ends, between, cross[start + place])
        _add_products(active, neuron, active, neuron, ends, between, variance[neuron])


@compiled_sum
def _add_products(
    left: _Centred, one: int, right: _Centred, other: int, ends: Indices, between: Array, totals: Array
) -> None:
    """Add the products of two columns to the sums of their groups."""
    ours, theirs, start = left.values[one], right.values[other], 0
    our_gaps, their_gaps = left.gaps[one], right.gaps[other]
    for group in range(len(ends)):
        end, total = ends[group], 0.0
        for row in range(start, end):
            total += ours[row] * theirs[row]
        totals[group] += total + between[group] * our_gaps[group] * their_gaps[group]
        start = end
