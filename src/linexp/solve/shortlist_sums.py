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
    """Some columns of a piece of rows, ordered by group.

    ``values`` [columns, rows] less the mean of all rows here; the sums of these over each group, ``sums``; and how far
    the mean of a group here is from that of its rows before, ``gaps`` [columns, groups].
    """

    values: Array
    sums: Array
    gaps: Array


def _centre(
    rows: Tensor, columns: Indices | slice, order: Indices, ends: Indices, new: Array, mean: Array
) -> _Centred:
    """Return some columns of rows centred, each column's values side by side, and bring the means up to date."""
    given = rows.cpu().to(torch.promote_types(rows.dtype, torch.float32)).numpy()
    values = np.ascontiguousarray(given[order][:, columns].T, dtype=np.float64)
    centred = _Centred(values, np.empty(mean.shape), np.zeros(mean.shape))
    share_neurons(len(values), _centre_columns, ends, new, mean, *centred)
    return centred


@compiled_sum
def _centre_columns(
    first: int, last: int, ends: Indices, new: Array, mean: Array, values: Array, sums: Array, gaps: Array
) -> None:
    """Values are first taken less that of the first row: so a column that is all the same leaves exact zeros."""
    for column in range(first, last):
        own, origin, total, start = values[column], values[column, 0], 0.0, 0
        for row in range(len(own)):
            own[row] -= origin
            total += own[row]
        total /= len(own)
        for group in range(len(ends)):
            end, part = ends[group], 0.0
            for row in range(start, end):
                own[row] -= total
                part += own[row]
            sums[column, group] = part
            if start < end:
                gaps[column, group] = origin + total + part / (end - start) - mean[column, group]
                mean[column, group] += gaps[column, group] * new[group]
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
            concept = concepts[start + place]
            for other in range(place + 1):
                total = gram[corner + place * width + other]
                _add_products(present, concept, present, concepts[start + other], ends, between, total)
                gram[corner + other * width + place] = total
            _add_products(active, neuron, present, concept, ends, between, cross[start + place])
        _add_products(active, neuron, active, neuron, ends, between, variance[neuron])


@compiled_sum
def _add_products(
    left: _Centred, one: int, right: _Centred, other: int, ends: Indices, between: Array, totals: Array
) -> None:
    """Add the products of two columns to the sums of their groups."""
    ours, theirs, start = left.values[one], right.values[other], 0
    for group in range(len(ends)):
        end, total = ends[group], 0.0
        if start < end:
            for row in range(start, end):
                total += ours[row] * theirs[row]
            total -= left.sums[one, group] * right.sums[other, group] / (end - start)
            totals[group] += total + between[group] * left.gaps[one, group] * right.gaps[other, group]
        start = end
