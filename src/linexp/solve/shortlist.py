"""Moments of each neuron with a few concepts of its own, where those of all concepts with each other are too many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.compiled import Array, Indices, compiled, share_neurons
from linexp.solve.least_squares import Solution
from linexp.solve.moments import recut

# Rows looked at a time: few enough for those of all concepts to stay in the cache while every neuron takes its own.
_PIECE_ROWS = 256


@dataclass(frozen=True, eq=False)
class Shortlist:
    """A few concepts for each neuron, in an order of its own.

    Parameters
    ----------
    concepts
        The concepts of the first neuron, then those of the second, and so on [entries].
    starts
        Where those of each neuron start, and where the last one's end [neurons + 1].
    """

    concepts: Indices
    starts: Indices

    @staticmethod
    def of_terms(solution: Solution) -> Shortlist:
        """Return the terms of a solution."""
        return Shortlist.of_lists([concepts[concepts >= 0] for concepts in solution.concepts])

    @staticmethod
    def of_lists(lists: list[Indices]) -> Shortlist:
        """Join one list of concepts per neuron."""
        starts = np.cumsum([0, *map(len, lists)])
        return Shortlist(np.concatenate([np.empty(0, np.int64), *lists]), starts)

    @cached_property
    def squares(self) -> Indices:
        """Where the products of each neuron's concepts with each other start, and where the last ones end."""
        return np.concatenate([[0], np.cumsum(np.diff(self.starts) ** 2)])

    @cached_property
    def neurons(self) -> Indices:
        """The neuron of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @cached_property
    def pairs(self) -> tuple[Indices, Indices]:
        """The two entries of each product."""
        blocks = [np.mgrid[first:last, first:last].reshape(2, -1) for first, last in self._ranges()]
        both = np.concatenate([np.empty((2, 0), np.int64), *blocks], axis=1)
        return both[0], both[1]

    def _ranges(self) -> list[tuple[int, int]]:
        return list(zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class ShortlistMoments:
    """Moments of each neuron and the concepts of its shortlist over some images, in float64.

    Parameters
    ----------
    n_images
        Number of images summed over.
    shortlist
        Which concepts go with which neuron.
    concept_mean
        Mean of the concept of each entry [entries].
    neuron_mean
        Mean of each neuron [neurons].
    gram
        Covariances of each neuron's concepts with each other, row by row, neuron by neuron [pairs].
    cross
        Covariance of each entry's concept with its neuron [entries].
    neuron_variance
        Variance of each neuron, with divisor n [neurons].
    """

    n_images: int
    shortlist: Shortlist
    concept_mean: Array
    neuron_mean: Array
    gram: Array
    cross: Array
    neuron_variance: Array

    def merge(self, other: ShortlistMoments) -> ShortlistMoments:
        """Return the moments of this and the other images together, which must be disjoint; see ``Moments.merge``."""
        n_images = self.n_images + other.n_images
        share = other.n_images / n_images
        between = share * (1 - share)
        concept_gap, neuron_gap = other.concept_mean - self.concept_mean, other.neuron_mean - self.neuron_mean
        left, right = self.shortlist.pairs
        return ShortlistMoments(
            n_images,
            self.shortlist,
            self.concept_mean + share * concept_gap,
            self.neuron_mean + share * neuron_gap,
            (1 - share) * self.gram + share * other.gram + between * concept_gap[left] * concept_gap[right],
            (1 - share) * self.cross + share * other.cross + between * concept_gap * neuron_gap[self.shortlist.neurons],
            (1 - share) * self.neuron_variance + share * other.neuron_variance + between * neuron_gap**2,
        )

    def standardise(self, concept_scale: Array, neuron_scale: Array) -> ShortlistMoments:
        """Return the moments of all columns divided by the given scales [concepts], [neurons]."""
        scale = concept_scale[self.shortlist.concepts]
        left, right = self.shortlist.pairs
        return ShortlistMoments(
            self.n_images,
            self.shortlist,
            self.concept_mean / scale,
            self.neuron_mean / neuron_scale,
            self.gram / scale[left] / scale[right],
            self.cross / scale / neuron_scale[self.shortlist.neurons],
            self.neuron_variance / neuron_scale**2,
        )


def accumulate_shortlist(
    blocks: Iterable[tuple[Float[Tensor, "rows concepts"], Float[Tensor, "rows neurons"]]], shortlist: Shortlist
) -> ShortlistMoments:
    """Sum the moments of row blocks of all concepts and neurons, given together, as far as a shortlist asks for them.

    The products are float64, and there are few of them: the square of the length of each neuron's list. How the rows
    are cut into blocks does not change the result.

    Raises
    ------
    ValueError
        There is no row at all.
    """
    n_neurons, n_entries = len(shortlist.starts) - 1, len(shortlist.concepts)
    lists = (shortlist.concepts, shortlist.starts, shortlist.squares)
    lengths = (n_entries, n_neurons, int(shortlist.squares[-1]), n_entries, n_neurons)
    sums = [np.zeros(length) for length in lengths]  # means of concepts and neurons, gram, cross, variances
    n_images = 0
    for concepts, neurons in recut(blocks, _PIECE_ROWS):
        dtype = torch.promote_types(torch.promote_types(concepts.dtype, neurons.dtype), torch.float32)
        given = (_turn(concepts, dtype), _turn(neurons, dtype), n_images, *lists)
        share_neurons(n_neurons, _add_piece, *given, *sums)
        n_images += len(concepts)
    if n_images == 0:
        raise ValueError("There are 0 rows to take moments of. Give at least one image.")
    return ShortlistMoments(n_images, shortlist, *sums[:2], *(total / n_images for total in sums[2:]))


def _turn(rows: Tensor, dtype: torch.dtype) -> Array:
    """Put the values of each column side by side: taking a few columns is then taking a few lines of memory."""
    return rows.cpu().to(dtype).T.contiguous().numpy()


@compiled
def _add_piece(
    first: int,
    last: int,
    present: Array,
    active: Array,
    n_before: int,
    concepts: Indices,
    starts: Indices,
    squares: Indices,
    concept_mean: Array,
    neuron_mean: Array,
    gram: Array,
    cross: Array,
    variance: Array,
) -> None:
    """Add some rows to the means, and to the sums of products about them, of the neurons ``first`` to ``last``.

    Values are taken less those of the first row: so a column that is all the same leaves exact zeros.
    """
    n_rows = present.shape[1]
    new = n_rows / (n_before + n_rows)
    for neuron in range(first, last):
        start = starts[neuron]
        width = starts[neuron + 1] - start
        rows = np.empty((n_rows, width + 1))  # the concepts, then the neuron
        origin, mean = np.empty(width + 1), np.zeros(width + 1)
        for place in range(width + 1):
            column = present[concepts[start + place]] if place < width else active[neuron]
            origin[place] = column[0]
            for row in range(n_rows):
                rows[row, place] = column[row] - origin[place]
                mean[place] += rows[row, place]
            mean[place] /= n_rows
        products = np.zeros((width + 1, width + 1))
        for row in range(n_rows):
            for place in range(width + 1):
                value = rows[row, place] - mean[place]
                for other in range(place + 1):
                    products[place, other] += value * (rows[row, other] - mean[other])
        gap = np.empty(width + 1)
        for place in range(width):
            gap[place] = origin[place] + mean[place] - concept_mean[start + place]
            concept_mean[start + place] += new * gap[place]
        gap[width] = origin[width] + mean[width] - neuron_mean[neuron]
        neuron_mean[neuron] += new * gap[width]
        between = n_before * new
        for place in range(width):
            for other in range(place + 1):
                value = products[place, other] + between * gap[place] * gap[other]
                gram[squares[neuron] + place * width + other] += value
                if other < place:
                    gram[squares[neuron] + other * width + place] += value
            cross[start + place] += products[width, place] + between * gap[width] * gap[place]
        variance[neuron] += products[width, width] + between * gap[width] * gap[width]
