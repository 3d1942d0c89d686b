"""Fit a calibration: binary cross-entropy over images and concepts whose presence is known (Eq. 5)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._checks import NotConvergedWarning, check_at_least, check_same_images, check_within, listing
from linexp.concepts.calibration import Calibration
from linexp.matrix import ConceptMatrix

# Newton's method converges quadratically; what is not done by then will not be.
_MOST_STEPS = 100
_BLOCK_ROWS = 2048


@dataclass(frozen=True, eq=False)
class CalibrationFit:
    """A fitted calibration and how well it describes the images it was fitted on.

    Parameters
    ----------
    calibration
        The result, with its binary cross-entropy and expected calibration error.
    predicted, observed
        The reliability curve: mean probability and share of pairs with the concept, in each of the bins that has a
        pair [bins].
    n_pairs
        Number of pairs of image and concept in these bins [bins].
    left_out
        Concepts in too many of the images, or in none or all of them.
    """

    calibration: Calibration
    predicted: Float[Tensor, " bins"]
    observed: Float[Tensor, " bins"]
    n_pairs: Float[Tensor, " bins"]
    left_out: tuple[str, ...]


def fit_calibration(
    image_embeddings: Float[Tensor, "images dims"],
    text_embeddings: Float[Tensor, "concepts dims"],
    labels: ConceptMatrix,
    *,
    encoder: str = "",
    source: str = "",
    max_share: float = 0.3,
    n_bins: int = 15,
) -> CalibrationFit:
    """Fit a and b of P = σ(a·(cos + b)) by mean binary cross-entropy over all pairs of image and concept.

    The objective is convex in (a, a·b) and is minimised to convergence by Newton's method.

    Parameters
    ----------
    image_embeddings, text_embeddings
        Unit vectors of the images and of the concepts' names, from one encoder.
    labels
        Which concepts are in which images, 0 or 1; names in the order of ``text_embeddings``. Use images that
        nothing is scored on later.
    encoder, source
        Written into the calibration: the encoder's name, and what it was fitted on.
    max_share
        Concepts in more than this share of the images are left out (the paper's released code drops such
        superclasses, as "entity").
    n_bins
        Number of equal ranges of probability in the reliability curve and the expected calibration error.

    Raises
    ------
    DifferentImagesError
        There are not as many image embeddings as rows of labels.
    ValueError
        There are not as many text embeddings as concepts, no concept is left, or the similarities do not rise with
        presence, so that no calibration exists.

    References
    ----------
    Paper, Section 3.1, Eq. 5; Guo et al. (2017) for the expected calibration error.
    """
    check_within("max_share", max_share, 0, 1)
    check_at_least("n_bins", n_bins, 1)
    check_same_images(None, labels.images, len(image_embeddings), labels.n_images)
    if len(text_embeddings) != labels.n_concepts:
        raise ValueError(
            f"There are {len(text_embeddings)} text embeddings for {labels.n_concepts} concepts. Embed each name once."
        )
    share = labels.values.to(torch.float64).mean(0)
    kept = (share > 0) & (share <= max_share) & (share < 1)
    left_out = tuple(name for name, keep in zip(labels.names, kept.tolist(), strict=True) if not keep)
    if not bool(kept.any()):
        raise ValueError(
            f"None of the {labels.n_concepts} concepts can be calibrated on: each is in no image or in more than "
            f"{max_share:.0%} of them ({listing(labels.names, 6)}). Use more concepts, or a higher max_share."
        )
    presence = labels.values[:, kept].to(torch.float64)
    similarity = image_embeddings.to(torch.float64) @ text_embeddings[kept].to(torch.float64).T
    slope, offset = _newton(similarity, presence)
    if slope <= 0:
        raise ValueError(
            "The similarities are not higher where a concept is present, so they cannot be calibrated. "
            "Check that texts and labels are in the same order."
        )
    fitted = Calibration(slope, offset / slope)
    bins = _reliability(fitted.probability(similarity), presence, n_bins)
    weight = bins[2] / bins[2].sum()
    calibration = Calibration(
        slope,
        offset / slope,
        encoder,
        source,
        bce=_cross_entropy(similarity, presence, slope, offset),
        ece=float((weight * (bins[0] - bins[1]).abs()).sum()),
    )
    return CalibrationFit(calibration, *bins, left_out)


def _cross_entropy(similarity: Tensor, presence: Tensor, slope: float, offset: float) -> float:
    logits = slope * similarity + offset
    return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, presence))


def _newton(similarity: Tensor, presence: Tensor) -> tuple[float, float]:
    """Minimise the convex objective in (a, a·b), halving steps that do not help."""
    slope, offset = 0.0, float(torch.logit(presence.mean()))
    value = _cross_entropy(similarity, presence, slope, offset)
    for _ in range(_MOST_STEPS):
        step = _newton_step(similarity, presence, slope, offset)
        size = 1.0
        while True:
            trial = (slope - size * step[0], offset - size * step[1])
            reached = _cross_entropy(similarity, presence, *trial)
            if reached <= value or size < 1e-8:
                break
            size /= 2
        gain = value - reached
        if gain > 0:
            (slope, offset), value = trial, reached
        if gain <= 1e-14 * value:
            return slope, offset
    warnings.warn(
        f"The calibration still moved after {_MOST_STEPS} steps (a = {slope:.4g}); the similarities may separate "
        "present from absent concepts perfectly. Use more images.",
        NotConvergedWarning,
        stacklevel=3,
    )
    return slope, offset


def _newton_step(similarity: Tensor, presence: Tensor, slope: float, offset: float) -> tuple[float, float]:
    gradient, curvature = torch.zeros(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    for start in range(0, len(similarity), _BLOCK_ROWS):
        x = similarity[start : start + _BLOCK_ROWS].flatten()
        p = torch.sigmoid(slope * x + offset)
        error = p - presence[start : start + _BLOCK_ROWS].flatten()
        gradient += torch.stack([(error * x).sum(), error.sum()])
        weight = p * (1 - p)
        mixed = (weight * x).sum()
        curvature += torch.stack([(weight * x * x).sum(), mixed, mixed, weight.sum()]).reshape(2, 2)
    curvature += 1e-12 * curvature.trace() * torch.eye(2, dtype=torch.float64)
    step = torch.linalg.solve(curvature, gradient)
    return float(step[0]), float(step[1])


def _reliability(probability: Tensor, presence: Tensor, n_bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean probability, share present, and number of pairs of each bin that has any."""
    p, y = probability.flatten(), presence.flatten()
    bin_ = (p * n_bins).long().clamp_max(n_bins - 1)
    count = torch.bincount(bin_, minlength=n_bins).to(torch.float64)
    used = count > 0
    predicted = torch.bincount(bin_, weights=p, minlength=n_bins)[used] / count[used]
    observed = torch.bincount(bin_, weights=y, minlength=n_bins)[used] / count[used]
    return predicted, observed, count[used]
