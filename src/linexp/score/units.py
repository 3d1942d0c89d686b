"""How clear units are, whatever explains them: of the images that they are active on, embedded by another encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_within
from linexp.matrix import ActivationMatrix

_AT_A_TIME = 1024  # images whose embeddings are weighted together
_UNITS = 256  # units whose highest images are compared together


@dataclass(frozen=True, eq=False)
class UnitMeasures:
    """One number of each kind for each unit; NaN where it has no meaning.

    Parameters
    ----------
    neurons
        Identifiers of the units.
    n_active
        On how many images each is above 0.
    frequency
        The share of images, in [0, 1].
    monosemanticity
        Mean cosine of the images' embeddings over all pairs of images, weighted with both activations (scaled to
        [0, 1] over the images): 1 where the unit is active on images that are alike. NaN for a constant unit.
    clarity
        Mean cosine over all pairs of the ``n_top`` images with the highest activations.
    redundancy
        The largest cosine of the mean embedding of these images with that of another unit: high where two units are
        active on the same. NaN if there is no other.
    """

    neurons: tuple[int, ...]
    n_active: Int[Tensor, " neurons"]
    frequency: Float[Tensor, " neurons"]
    monosemanticity: Float[Tensor, " neurons"]
    clarity: Float[Tensor, " neurons"]
    redundancy: Float[Tensor, " neurons"]


def measure_units(
    activations: ActivationMatrix, embeddings: Float[Tensor, "images dims"], *, n_top: int = 20
) -> UnitMeasures:
    """Measure units by the embeddings of the images that they are active on.

    Parameters
    ----------
    activations
        Of the units.
    embeddings
        Of the same images in the same order, by an encoder other than the network; of any length but 0.
    n_top
        Images with the highest activations, for clarity and redundancy; at least 2. Of equal ones the first.

    Raises
    ------
    ValueError
        There is not one embedding for each image, one is 0 or not finite, or ``n_top`` is outside its range.

    Notes
    -----
    The weighted mean over pairs is (‖Σ aᵢeᵢ‖² - Σ aᵢ²) / ((Σ aᵢ)² - Σ aᵢ²), for embeddings of length 1: one pass over
    the images instead of one over their pairs.

    References
    ----------
    Pach, Karthik, Bouniot, Belongie, Akata, Sparse autoencoders learn monosemantic features in vision-language models,
    2025. Dreyer, Berend, Labarta, Vielhaben, Wiegand, Lapuschkin, Samek, Mechanistic understanding and validation of
    large AI models with SemanticLens, 2025: clarity and redundancy.
    """
    values, n_images = activations.values, activations.n_images
    if embeddings.ndim != 2 or len(embeddings) != n_images:
        raise ValueError(
            f"The embeddings are {list(embeddings.shape)} for {n_images} images. Give one for each, [images, dims]."
        )
    check_within("n_top", n_top, 2, n_images)
    lengths = embeddings.double().norm(dim=1)
    if not bool((lengths.isfinite() & (lengths > 0)).all()):
        raise ValueError("An embedding is 0, NaN or infinite. Look at the encoder and its number format.")
    unit = embeddings.double() / lengths[:, None]
    n_active = (values > 0).sum(0)
    clarity, centres = _of_highest(values, unit, n_top)
    return UnitMeasures(
        activations.neurons,
        n_active,
        n_active / n_images,
        _monosemanticity(values, unit),
        clarity,
        _redundancy(centres),
    )


def _monosemanticity(values: Tensor, unit: Tensor) -> Float[Tensor, " neurons"]:
    low = values.amin(0).double()
    spread = values.amax(0).double() - low
    sums, squares = torch.zeros_like(low), torch.zeros_like(low)
    weighted = low.new_zeros(len(low), unit.shape[1])
    for some, vectors in zip(values.split(_AT_A_TIME), unit.split(_AT_A_TIME), strict=True):
        scaled = (some.double() - low) / spread
        sums, squares, weighted = sums + scaled.sum(0), squares + scaled.square().sum(0), weighted + scaled.T @ vectors
    return (weighted.square().sum(1) - squares) / (sums.square() - squares)


def _of_highest(values: Tensor, unit: Tensor, n_top: int) -> tuple[Tensor, Float[Tensor, "neurons dims"]]:
    centres: list[Tensor] = []
    for some in values.split(_UNITS, 1):
        places = torch.sort(some, dim=0, descending=True, stable=True).indices[:n_top]
        centres.append(unit[places].mean(0))
    together = torch.cat(centres)
    return (together.square().sum(1) * n_top - 1) / (n_top - 1), together


def _redundancy(centres: Float[Tensor, "neurons dims"]) -> Float[Tensor, " neurons"]:
    directions = torch.nn.functional.normalize(centres)
    found: list[Tensor] = []
    for start in range(0, len(directions), _UNITS):
        cosines = directions[start : start + _UNITS] @ directions.T
        cosines.diagonal(start).fill_(-torch.inf)
        found.append(cosines.amax(1))
    largest = torch.cat(found)
    return torch.where(largest.isinf(), torch.nan, largest)
