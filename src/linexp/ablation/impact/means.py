"""Means over the neurons of one layer or of several, with standard errors (Table 1 and Appendix C.2 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_same_images
from linexp.ablation.impact.impact import Impact
from linexp.ablation.impact.top import BETAS, Block, blocks, count_images, share_of_top

TOTALS = ("total", "signed", "share")
"""Figures of a neuron beside its Top Impact: Σ|I|, ΣI, and the share of images on which it has any impact."""


@dataclass(frozen=True, eq=False)
class TopImpact:
    """Top Impact of each neuron, for some β.

    Parameters
    ----------
    betas
        Shares of the images, those with the highest activations.
    values
        Share of Σ|I_k| on those images [neurons, betas], from 0 to 1; evenly spread impact gives β. NaN where β of the
        images is less than one image, or where the neuron has no impact on any image.
    errors
        Standard errors of ``values``, as a random sample of images.
    """

    betas: tuple[float, ...]
    values: Float[Tensor, "neurons betas"]
    errors: Float[Tensor, "neurons betas"]

    @property
    def mean(self) -> Float[Tensor, " betas"]:
        """Mean over neurons that have any impact (Table 1)."""
        return self.values.nanmean(0)


@dataclass(frozen=True, eq=False)
class Means:
    """Means over neurons, in the order of ``TOTALS`` and then of the β.

    Parameters
    ----------
    n_neurons
        How many neurons were measured.
    values
        Means [figures]; of Top Impact over the neurons that have any impact. NaN where there is none.
    errors
        Standard errors [figures]: as a random sample of images and, where not all neurons of a layer were measured, of
        neurons.
    """

    n_neurons: int
    values: Float[Tensor, " figures"]
    errors: Float[Tensor, " figures"]


@dataclass(frozen=True, eq=False)
class Figures:
    """Every figure of every neuron of a layer.

    Parameters
    ----------
    impact
        What they are of.
    betas
        Shares of the images for Top Impact.
    values
        Figures [neurons, figures]: ``TOTALS``, then Top Impact for each β.
    errors
        Their standard errors, as a random sample of images.
    is_dead
        Which neurons are dead: their activation is below 0.01 on all images.
    influences
        Sums over the living and over the dead neurons of each image's influence [2, images, figures].
    """

    impact: Impact
    betas: tuple[float, ...]
    values: Float[Tensor, "neurons figures"]
    errors: Float[Tensor, "neurons figures"]
    is_dead: Bool[Tensor, " neurons"]
    influences: Float[Tensor, "2 images figures"]


def measure_figures(impact: Impact, betas: Sequence[float] = BETAS, *, as_published: bool = False) -> Figures:
    """Return total, signed and Top Impact of every neuron; see ``top_impact`` for what can be wrong."""
    counts = count_images(impact.n_images, betas, as_published=as_published)
    n_figures = len(TOTALS) + len(betas)
    influences = torch.zeros(2, impact.n_images, n_figures, dtype=torch.float64)
    values = torch.empty(impact.n_neurons, n_figures, dtype=torch.float64)
    errors = torch.empty_like(values)
    for block in blocks(impact):
        found = [*_totals(impact, block), *(share_of_top(block, count) for count in counts)]
        dead = impact.is_dead[block.columns]
        for place, (value, influence) in enumerate(found):
            values[block.columns, place] = value
            errors[block.columns, place] = (_unbias(impact.n_images) * influence.square().sum(0)).sqrt()
            for part, chosen in enumerate((~dead, dead)):
                influences[part, :, place] += influence[:, chosen].nan_to_num(0).sum(1)
    return Figures(impact, tuple(betas), values, errors, impact.is_dead, influences)


def top_impact(impact: Impact, betas: Sequence[float] = BETAS, *, as_published: bool = False) -> TopImpact:
    """Return what share of each neuron's impact falls on the images that activate it most.

    Images of equal activation share their impact evenly, so that no order among them is made up.

    Parameters
    ----------
    impact
        Output of ``impact``.
    betas
        Shares of the images, above 0 and at most 1.
    as_published
        Count as the notebook released with the paper does: its top β of n images are ⌊β·n⌋ + 1, where β·n may lose one
        to floating point.

    Raises
    ------
    ValueError
        There is no β, or one lies outside (0, 1].

    References
    ----------
    Paper, Section 2.1, Eq. 4.

    Examples
    --------
    >>> import linexp as le
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> measured = le.impact(model, "1", torch.randn(200, 2), labels=[0, 1] * 100, show_progress=False)
    >>> top_impact(measured, [0.1, 1]).values.shape
    torch.Size([3, 2])
    """
    figures, first = measure_figures(impact, betas, as_published=as_published), len(TOTALS)
    return TopImpact(figures.betas, figures.values[:, first:], figures.errors[:, first:])


def mean_figures(layers: Sequence[Figures], *, with_dead: bool = True) -> Means:
    """Return the means over all neurons of some layers, each neuron counting the same (Table 1, "All").

    Where only some neurons of a layer were measured, they stand for the others too.

    Parameters
    ----------
    layers
        Figures of layers on the same images.
    with_dead
        Whether dead neurons count too (Tables 14 and 15).

    Raises
    ------
    DifferentImagesError
        The layers were measured on different images.
    """
    first = layers[0].impact.activations
    for one in layers[1:]:
        other = one.impact.activations
        check_same_images(first.images, other.images, first.n_images, other.n_images)
    sums = zip(*(_sum_layer(one, with_dead=with_dead) for one in layers), strict=True)
    n_neurons, n_known, values, influence, variance = (
        sum(parts, torch.zeros((), dtype=torch.float64)) for parts in sums
    )
    by_images = _unbias(first.n_images) * (influence / n_known).square().sum(0)
    errors = torch.where(n_known > 0, (by_images + variance / n_known.square()).sqrt(), math.nan)
    return Means(int(n_neurons), values / n_known, errors)


def _unbias(n_images: int) -> float:
    """Return what turns the sum of squares of n influences into a variance of divisor n − 1; 1 for a single image."""
    return n_images / max(n_images - 1, 1)


def _sum_layer(layer: Figures, *, with_dead: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return sums over the neurons of a layer, of which those that were measured stand for all.

    How many were measured; of each figure, for how many it is known, its sum, the images' influence on that
    [images, figures], and its variance with the neurons drawn.
    """
    values = layer.values if with_dead else layer.values[~layer.is_dead]
    measured = layer.impact.n_neurons / layer.impact.n_layer_neurons
    known = (~values.isnan()).sum(0).double()
    spread = (values - values.nanmean(0)).nan_to_num(0).square().sum(0) / (known - 1).clamp_min(1)
    influence = layer.influences[: 1 + with_dead].sum(0)
    variance = (1 - measured) * known * spread
    n_neurons = torch.tensor(len(values))
    return n_neurons, known / measured, values.nansum(0) / measured, influence / measured, variance / measured**2


def _totals(impact: Impact, block: Block) -> list[tuple[Tensor, Tensor]]:
    """Return total, signed and share of images of each neuron, and each image's influence on them."""
    answers, losses = impact.parts(block.columns)
    values = answers + losses
    correct = (impact.correct.double() / impact.correct.sum())[:, None]
    own = (impact.losses / impact.losses.sum())[:, None]
    sign = values.sign()
    total = values.abs() - correct * (sign * answers).sum(0) - own * (sign * losses).sum(0)
    signed = values - correct * answers.sum(0) - own * losses.sum(0)
    reached = impact.has_impact(block.columns).double()
    share = reached.mean(0)
    return [(values.abs().sum(0), total), (values.sum(0), signed), (share, (reached - share) / impact.n_images)]
