"""What share of a neuron's impact falls on the images that activate it most (Eq. 4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.ablation.impact.impact import Impact

BETAS = (0.0003, 0.002, 0.02, 0.1, 0.5)
"""Table 1 of the paper."""


_NEURONS_PER_BLOCK = 32


def count_images(n_images: int, betas: Sequence[float], *, as_published: bool = False) -> list[int]:
    """Return how many images are the top β; exactly, for the decimal number that β is written as.

    Raises
    ------
    ValueError
        There is no β, or one lies outside (0, 1].
    """
    wrong = [beta for beta in betas if not 0 < beta <= 1]
    if wrong or not betas:
        raise ValueError(f"β is {wrong[0] if wrong else 'missing'}. It is a share of the images: above 0, at most 1.")
    if as_published:
        return [min(int(beta * n_images) + 1, n_images) for beta in betas]
    return [math.floor(Fraction(repr(float(beta))) * n_images) for beta in betas]


@dataclass(frozen=True, eq=False)
class Block:
    """Some neurons, with the images in the order of their activation, highest first.

    Parameters
    ----------
    columns
        Which of the impact's neurons they are.
    sizes
        |I| of each image [rank, neuron]; images of equal activation have their mean.
    effects
        How much Σ|I| changes per share of answers and of loss that an image adds to the network's totals: the
        signed halves of I that are ΔAcc and −ΔL [rank, neuron].
    correct, losses
        The network's own, as shares of its totals [rank, neuron].
    order
        Which image is at each rank.
    has_impact
        Whether a neuron has any impact.
    """

    columns: range
    sizes: Float[Tensor, "images neurons"]
    effects: tuple[Float[Tensor, "images neurons"], Float[Tensor, "images neurons"]]
    correct: Float[Tensor, "images neurons"]
    losses: Float[Tensor, "images neurons"]
    order: Tensor
    has_impact: Tensor


def blocks(impact: Impact) -> Iterator[Block]:
    """Yield the neurons in blocks, sorted."""
    shares = impact.correct.double() / impact.correct.sum(), impact.losses / impact.losses.sum()
    for start in range(0, impact.n_neurons, _NEURONS_PER_BLOCK):
        columns = range(start, min(start + _NEURONS_PER_BLOCK, impact.n_neurons))
        activations, order = impact.activations.values[:, columns].sort(dim=0, descending=True, stable=True)
        answers, losses = (part.gather(0, order) for part in impact.parts(columns))
        sign = (answers + losses).sign()
        ties = _ties(activations)
        sizes, *effects = (_even(part, ties) for part in ((answers + losses).abs(), sign * answers, sign * losses))
        correct, own = (_even(part[order], ties) for part in shares)
        reached = impact.has_impact(columns).any(0)
        yield Block(columns, sizes, (effects[0], effects[1]), correct, own, order, reached)


def _ties(activations: Float[Tensor, "images neurons"]) -> Tensor | None:
    """Return a number for each group of equal activations of each neuron; ``None`` if no two are equal."""
    new = activations[1:] != activations[:-1]
    if bool(new.all()):
        return None
    groups = torch.cat([torch.zeros_like(new[:1], dtype=torch.int64), new.cumsum(0)])
    return groups + len(activations) * torch.arange(activations.shape[1])


def _even(sorted_part: Float[Tensor, "images neurons"], ties: Tensor | None) -> Tensor:
    """Give images of equal activation their mean."""
    if ties is None:
        return sorted_part
    flat, values = ties.flatten(), sorted_part.flatten()
    means = torch.zeros_like(values).scatter_reduce_(0, flat, values, "mean", include_self=False)
    return means[flat].reshape(ties.shape)


def share_of_top(block: Block, count: int) -> tuple[Float[Tensor, " neurons"], Float[Tensor, "images neurons"]]:
    """Return the share of the impact on the first images, and each image's influence on it, in the images' own order.

    The influence is the derivative with the image's weight in the sample, of which the share's standard error is
    the root of the sum of squares: through the image itself, through where the top ends, and through the network's
    totals that I is a share of.
    """
    n_images = len(block.sizes)
    total = block.sizes.sum(0)
    if count == 0:
        nothing = torch.full_like(total, math.nan)
        return nothing, nothing.expand_as(block.sizes)
    share = block.sizes[:count].sum(0) / total
    in_top = torch.zeros(n_images, 1, dtype=torch.float64)
    in_top[:count] = 1
    width = math.isqrt(n_images)
    at_end = block.sizes[max(0, count - width) : min(n_images, count + width)].mean(0)
    influence = block.sizes * (in_top - share) - at_end * (in_top - count / n_images)
    for effect, own in zip(block.effects, (block.correct, block.losses), strict=True):
        influence -= own * (effect[:count].sum(0) - share * effect.sum(0))
    unknown = ~block.has_impact
    share[unknown] = math.nan
    influence = influence / total
    influence[:, unknown] = math.nan
    return share, torch.empty_like(influence).scatter_(0, block.order, influence)


def top_curve(impact: Impact) -> Float[Tensor, " images"]:
    """Return the mean Top Impact over neurons for β = 1/n, 2/n, …, 1."""
    total, n_neurons = torch.zeros(impact.n_images, dtype=torch.float64), 0
    for block in blocks(impact):
        sizes = block.sizes[:, block.has_impact]
        total += (sizes.cumsum(0) / sizes.sum(0)).sum(1)
        n_neurons += sizes.shape[1]
    return total / n_neurons
