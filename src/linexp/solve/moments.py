"""Means, covariances and variances of concepts and neurons: all that least squares ever asks of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._checks import check_at_least

# Rows are always summed in pieces of this size, whatever blocks they arrive in, so that the result does not depend
# on the caller's block size by a single bit.
CHUNK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of concepts and neurons over some images, in float64.

    Parameters
    ----------
    n_images
        Number of images summed over.
    concept_mean, neuron_mean
        Column means.
    gram
        Covariance of the concepts, PᶜᵀPᶜ/n (c: centred).
    cross
        Covariance of concepts with neurons, PᶜᵀQᶜ/n.
    neuron_variance
        Variance of each neuron, with divisor n.
    """

    n_images: int
    concept_mean: Float[Tensor, " concepts"]
    neuron_mean: Float[Tensor, " neurons"]
    gram: Float[Tensor, "concepts concepts"]
    cross: Float[Tensor, "concepts neurons"]
    neuron_variance: Float[Tensor, " neurons"]

    @property
    def concept_variance(self) -> Float[Tensor, " concepts"]:
        """Variance of each concept, with divisor n."""
        return self.gram.diagonal()

    def merge(self, other: Moments) -> Moments:
        """Return the moments of this and the other images together, which must be disjoint.

        References
        ----------
        Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
        """
        n_images = self.n_images + other.n_images
        share = other.n_images / n_images
        concept_gap = other.concept_mean - self.concept_mean
        neuron_gap = other.neuron_mean - self.neuron_mean
        between = share * (1 - share)
        return Moments(
            n_images,
            self.concept_mean + share * concept_gap,
            self.neuron_mean + share * neuron_gap,
            (1 - share) * self.gram + share * other.gram + between * torch.outer(concept_gap, concept_gap),
            (1 - share) * self.cross + share * other.cross + between * torch.outer(concept_gap, neuron_gap),
            (1 - share) * self.neuron_variance + share * other.neuron_variance + between * neuron_gap**2,
        )

    def standardise(
        self, concept_scale: Float[Tensor, " concepts"], neuron_scale: Float[Tensor, " neurons"]
    ) -> Moments:
        """Return the moments of all columns divided by the given scales."""
        return Moments(
            self.n_images,
            self.concept_mean / concept_scale,
            self.neuron_mean / neuron_scale,
            self.gram / concept_scale[:, None] / concept_scale,
            self.cross / concept_scale[:, None] / neuron_scale,
            self.neuron_variance / neuron_scale**2,
        )


def accumulate_moments(
    blocks: Iterable[tuple[Float[Tensor, "rows concepts"], Float[Tensor, "rows neurons"]]],
) -> Moments:
    """Sum the moments of row blocks of concepts and neurons, given together.

    Parameters
    ----------
    blocks
        Pairs of blocks with the same rows. How the rows are cut into blocks does not change the result.

    Raises
    ------
    ValueError
        There is no row at all.
    """
    total: Moments | None = None
    for concepts, neurons in _recut(blocks):
        piece = _moments_of_chunk(concepts.to(torch.float64), neurons.to(torch.float64))
        total = piece if total is None else total.merge(piece)
    if total is None:
        raise ValueError("There are 0 rows to take moments of. Give at least one image.")
    return total


def _recut(blocks: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    waiting: tuple[Tensor, Tensor] | None = None
    for block in blocks:
        if waiting is not None:
            block = (torch.cat([waiting[0], block[0]]), torch.cat([waiting[1], block[1]]))
        n_whole = len(block[0]) // CHUNK_ROWS * CHUNK_ROWS
        for start in range(0, n_whole, CHUNK_ROWS):
            yield block[0][start : start + CHUNK_ROWS], block[1][start : start + CHUNK_ROWS]
        waiting = (block[0][n_whole:], block[1][n_whole:])
    if waiting is not None and len(waiting[0]):
        yield waiting


def _moments_of_chunk(concepts: Tensor, neurons: Tensor) -> Moments:
    n_images = len(concepts)
    concept_mean, neuron_mean = concepts.mean(0), neurons.mean(0)
    concepts, neurons = concepts - concept_mean, neurons - neuron_mean
    return Moments(
        n_images,
        concept_mean,
        neuron_mean,
        concepts.T @ concepts / n_images,
        concepts.T @ neurons / n_images,
        neurons.square().mean(0),
    )


@dataclass(frozen=True, eq=False)
class ColumnRange:
    """The extremes of each column over some rows, exact.

    Parameters
    ----------
    least
        Smallest value of each column.
    top_mean
        Mean of the k largest values of each column (of all values, if there are fewer).
    most
        Largest value of each column.
    """

    least: Float[Tensor, " columns"]
    top_mean: Float[Tensor, " columns"]
    most: Float[Tensor, " columns"]

    @property
    def is_constant(self) -> Bool[Tensor, " columns"]:
        """Whether a column has one value only."""
        return self.least == self.most


def measure_columns(blocks: Iterable[Float[Tensor, "rows columns"]], n_top: int = 5) -> ColumnRange:
    """Find the smallest, the largest, and the mean of the ``n_top`` largest values of each column.

    Raises
    ------
    ValueError
        There is no row, or ``n_top`` is below 1.
    """
    check_at_least("n_top", n_top, 1)
    least: Tensor | None = None
    top: Tensor | None = None
    for block in blocks:
        low = block.min(0).values
        least = low if least is None else torch.minimum(least, low)
        seen = block if top is None else torch.cat([top, block])
        top = seen.topk(min(n_top, len(seen)), dim=0).values  # sorted, largest first
    if least is None or top is None:
        raise ValueError("There are 0 rows to measure. Give at least one image.")
    return ColumnRange(least, top.to(torch.float64).mean(0), top[0])
