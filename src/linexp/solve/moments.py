"""Means, covariances and variances of concepts and neurons: all that least squares ever asks of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.solve.moments_sums import Sums

# Rows are always summed in pieces of this size, whatever blocks they arrive in, so that the result does not depend
# on the caller's block size by a single bit.
CHUNK_ROWS = 4096
# Neurons whose sums are taken together, zeros filled in: torch sums what is left of a multiple in another order.
_NEURONS_SUMMED = 16


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
            self.gram.mul(1 - share).add_(other.gram, alpha=share).addr_(concept_gap, concept_gap, alpha=between),
            self.cross.mul(1 - share).add_(other.cross, alpha=share).addr_(concept_gap, neuron_gap, alpha=between),
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
            (self.gram * (1 / concept_scale)).mul_((1 / concept_scale)[:, None]),
            (self.cross * (1 / concept_scale)[:, None]).mul_(1 / neuron_scale),
            self.neuron_variance / neuron_scale**2,
        )


def accumulate_moments(
    blocks: Iterable[tuple[Float[Tensor, "rows concepts"], Float[Tensor, "rows neurons"]]],
) -> Moments:
    """Sum the moments of row blocks of concepts and neurons, given together; how they are cut changes nothing.

    Raises
    ------
    ValueError
        There is no row at all.
    """
    sums: Sums | None = None
    n_neurons = 0
    for concepts, neurons in recut(blocks, CHUNK_ROWS):
        n_neurons = neurons.shape[1]
        # torch sums the columns beyond the last full 16 in another order, so there are none.
        neurons = torch.nn.functional.pad(neurons, (0, -n_neurons % _NEURONS_SUMMED))
        sums = sums or Sums(concepts, neurons)
        sums.add(concepts, neurons)
    if sums is None:
        raise ValueError("There are 0 rows to take moments of. Give at least one image.")
    gram, cross = sums.covariances()
    return Moments(
        sums.n_images,
        sums.concepts.mean.cpu(),
        sums.neurons.mean[:n_neurons].cpu(),
        gram.cpu(),
        cross[:, :n_neurons].cpu(),
        (sums.neurons.squares / sums.n_images)[:n_neurons].cpu(),
    )


def recut(blocks: Iterable[tuple[Tensor, Tensor]], n_rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of pairs of blocks in pairs of ``n_rows`` rows each, but for the last."""
    waiting: tuple[Tensor, Tensor] | None = None
    for block in blocks:
        if waiting is not None and len(waiting[0]):
            block = (torch.cat([waiting[0], block[0]]), torch.cat([waiting[1], block[1]]))
        n_whole = len(block[0]) // n_rows * n_rows
        for start in range(0, n_whole, n_rows):
            yield block[0][start : start + n_rows], block[1][start : start + n_rows]
        waiting = (block[0][n_whole:], block[1][n_whole:])
    if waiting is not None and len(waiting[0]):
        yield waiting
