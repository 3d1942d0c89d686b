"""Moments of each neuron with a few concepts of its own, where those of all concepts with each other are too many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linexp._internal.compiled import Array, Indices
from linexp.solve.least_squares import Solution


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
        used = solution.concepts >= 0
        return Shortlist(solution.concepts[used], np.concatenate([[0], np.cumsum(used.sum(1))]))

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
