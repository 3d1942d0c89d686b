"""Sums over rows for shortlists: of all rows, or of each group of them in one pass."""

from __future__ import annotations

from collections.abc import Iterable

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
    lists = (places, shortlist.starts, shortlist.squares)
    lengths = (n_entries, n_neurons, int(shortlist.squares[-1]), n_entries, n_neurons)
    sums = [np.zeros((length, n_groups)) for length in lengths]  # means of concepts, neurons; gram, cross, variances
    n_rows, every = 0, np.arange(n_neurons)
    for concepts, neurons in recut(blocks, n_groups * max(_PIECE_ROWS // n_groups, 1)):
        dtype = torch.promote_types(torch.promote_types(concepts.dtype, neurons.dtype), torch.float32)
        groups = [np.arange(group, len(concepts), n_groups) for group in range(n_groups)]
        order, ends = np.concatenate(groups), np.cumsum(list(map(len, groups)))
        present = _turn(concepts.cpu().to(dtype).numpy(), order, named)
        active = _turn(neurons.cpu().to(dtype).numpy(), order, every)
        n_before, sizes = n_rows // n_groups, np.diff(ends, prepend=0)
        new = sizes / np.maximum(n_before + sizes, 1)  # what of the rows of a group that there then are is new
        share_neurons(n_neurons, _add_piece, present, active, ends, new, n_before * new, *lists, *sums)
        n_rows += len(concepts)
    if n_rows < n_groups:
        what, remedy = ("to take moments of", "one image") if n_groups == 1 else (f"for {n_groups} groups", "that many")
        raise ValueError(f"There are {n_rows} rows {what}. Give at least {remedy}.")
    sizes = np.array([len(range(group, n_rows, n_groups)) for group in range(n_groups)])
    sums = [np.ascontiguousarray(part.T) for part in (*sums[:2], *(total / sizes for total in sums[2:]))]
    return [ShortlistMoments(int(size), shortlist, *(part[group] for part in sums)) for group, size in enumerate(sizes)]


def _turn(values: Array, order: Indices, columns: Indices) -> Array:
    """Return some columns of rows put into order, each column's values side by side."""
    turned = np.empty((len(columns), len(order)), values.dtype)
    share_neurons(len(columns), _turn_columns, values, order, columns, turned)
    return turned


@compiled
def _turn_columns(first: int, last: int, values: Array, order: Indices, columns: Indices, turned: Array) -> None:
    for row in range(len(order)):
        for column in range(first, last):  # few, so that the lines of memory written to stay in the cache
            turned[column, row] = values[order[row], columns[column]]


@compiled
def _add_piece(
    first: int,
    last: int,
    present: Array,
    active: Array,
    ends: Indices,
    new: Array,
    between: Array,
    concepts: Indices,
    starts: Indices,
    squares: Indices,
    concept_mean: Array,
    neuron_mean: Array,
    gram: Array,
    cross: Array,
    variance: Array,
) -> None:
    """Add some rows to the means of their groups, and to the sums of products about them, for some neurons.

    Column by column, and there group by group: so a sum is over numbers that stand side by side.
    """
    for neuron in range(first, last):
        start, corner = starts[neuron], squares[neuron]
        width = starts[neuron + 1] - start
        rows, gaps = np.empty((width + 1, present.shape[1])), np.zeros((width + 1, len(ends)))
        for place in range(width):
            _centre(present[concepts[start + place]], ends, new, rows[place], gaps[place], concept_mean[start + place])
        _centre(active[neuron], ends, new, rows[width], gaps[width], neuron_mean[neuron])
        for place in range(width):
            for other in range(place + 1):
                total = gram[corner + place * width + other]
                _add_products(rows[place], rows[other], ends, between, gaps[place], gaps[other], total)
                gram[corner + other * width + place] = total
            _add_products(rows[width], rows[place], ends, between, gaps[width], gaps[place], cross[start + place])
        _add_products(rows[width], rows[width], ends, between, gaps[width], gaps[width], variance[neuron])


@compiled_sum
def _centre(column: Array, ends: Indices, new: Array, rows: Array, gaps: Array, mean: Array) -> None:
    """Write values less the mean of their group here, how far that is from the mean before, and the new mean of all.

    Values are first taken less that of the group's first row: so a column that is all the same leaves exact zeros.
    """
    start = 0
    for group in range(len(ends)):
        end, total = ends[group], 0.0
        if start < end:
            origin = np.float64(column[start])
            for row in range(start, end):
                rows[row] = column[row] - origin
                total += rows[row]
            total /= end - start
            for row in range(start, end):
                rows[row] -= total
            gaps[group] = origin + total - mean[group]
            mean[group] += gaps[group] * new[group]
        start = end


@compiled_sum
def _add_products(
    left: Array, right: Array, ends: Indices, between: Array, left_gaps: Array, right_gaps: Array, totals: Array
) -> None:
    """Add the products of two columns to the sums of their groups."""
    start = 0
    for group in range(len(ends)):
        end, total = ends[group], 0.0
        if start < end:
            for row in range(start, end):
                total += left[row] * right[row]
            totals[group] += total + between[group] * left_gaps[group] * right_gaps[group]
        start = end
