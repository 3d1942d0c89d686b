"""The rows with a neuron's highest activations, ties decided fairly."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.compiled import Array, Indices, compiled, share_neurons


def top_rows(values: Float[Tensor, "rows neurons"], n_top: int) -> Indices:
    """Return the ``n_top`` rows [neurons, n_top] with the highest activations of each neuron, the highest first.

    Equal activations stand in the order of the rows. Where some of those equal to the last have to be left out, the
    rest are spread evenly over them: a neuron that is zero on most images would otherwise be said to be about the first
    rows, which are often of one class.
    """
    columns = np.ascontiguousarray(values.to(torch.float64).T.numpy())
    # The n-th highest value is the same however equal ones are ordered, which topk leaves open.
    cuts = np.partition(columns, -n_top, axis=1)[:, -n_top].copy()
    found = np.empty((len(columns), n_top), np.int64)
    share_neurons(len(columns), _find, columns, cuts, found)
    return found


@compiled
def _find(first: int, last: int, columns: Array, cuts: Array, found: Indices) -> None:
    n_rows, n_top = columns.shape[1], found.shape[1]
    for neuron in range(first, last):
        column, cut = columns[neuron], cuts[neuron]
        tied = np.empty(n_rows, np.int64)
        n_above, n_tied = 0, 0
        for row in range(n_rows):
            if column[row] > cut:
                found[neuron, n_above] = row
                n_above += 1
            elif column[row] == cut:
                tied[n_tied] = row
                n_tied += 1
        n_left = n_top - n_above
        for place in range(n_left):
            found[neuron, n_above + place] = tied[(2 * place + 1) * n_tied // (2 * n_left)]
        above = found[neuron, :n_above].copy()
        order = np.argsort(-column[above], kind="mergesort")
        for place in range(n_above):
            found[neuron, place] = above[order[place]]
