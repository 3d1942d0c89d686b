"""Fit a calibration: binary cross-entropy over images and concepts whose presence is known (Eq. 5)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import NotConvergedWarning, check_at_least, check_within, listing
from linexp.concepts.calibration.calibration import Calibration
from linexp.concepts.calibration.reliability import (
    BLOCK_ROWS,
    Pairs,
    Reliability,
    check_embeddings,
    choose_rows,
    cross_entropy,
    measure_pairs,
)
from linexp.matrix import ConceptMatrix, Rows

# Newton's method converges quadratically; what is not done by then will not be.
_MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class CalibrationFit:
    """A fitted calibration and how true its probabilities are.

    Parameters
    ----------
    calibration
        The result, with its binary cross-entropy and expected calibration error.
    reliability
        What was measured: these two numbers and the reliability curve.
    left_out
        Concepts that nothing was fitted or measured on → the share of the images fitted on that they are in: 0 for a
        concept in none of them, above ``max_share`` for one in too many.
    """

    calibration: Calibration
    reliability: Reliability
    left_out: Mapping[str, float]

    @property
    def left_out_in_words(self) -> str:
        """One sentence that names the concepts left out and says why; empty if there are none."""
        return f"Left out: {_say_left_out(self.left_out)}." if self.left_out else ""


def fit_calibration(
    image_embeddings: Float[Tensor, "images dims"],
    text_embeddings: Float[Tensor, "concepts dims"],
    labels: ConceptMatrix,
    *,
    encoder: str = "",
    source: str = "",
    images: str = "",
    date: str = "",
    fitted_on: Rows | None = None,
    measured_on: Rows | None = None,
    max_share: float = 0.3,
    n_bins: int = 15,
) -> CalibrationFit:
    """Fit a and b of P = σ(a·(cos + b)) by mean binary cross-entropy over all pairs of image and concept.

    The objective is convex in (a, a·b) and is minimised to convergence by Newton's method. The images are looked at
    in blocks, so that the memory needed does not grow with their number; the labels may be a matrix that makes its
    blocks on demand. If the similarities separate present from absent concepts perfectly, as they may on few images,
    there is no best a: the larger the better. The search then stops where the cross-entropy is 0 to 15 digits.

    Parameters
    ----------
    image_embeddings, text_embeddings
        Unit vectors of the images and of the concepts' names, from one encoder.
    labels
        Which concepts are in which images, from 0 to 1; names in the order of ``text_embeddings``. Use images that
        nothing is scored on later.
    encoder, source, images, date
        Written into the calibration: the encoder's name, what it was fitted on in words, the fingerprint of these
        images, and the day (ISO 8601).
    fitted_on
        Images that a and b are fitted on, and that decide which concepts are left out. Default: all.
    measured_on
        Images that cross-entropy, calibration error and reliability curve are measured on, with the same concepts:
        those of ``fitted_on`` (the default), or only others.
    max_share
        Concepts in more than this share of the images are left out (the paper's released code drops such
        superclasses, as "entity"), and so are those in none or all of them.
    n_bins
        Number of equal ranges of probability in the reliability curve and the expected calibration error.

    Raises
    ------
    DifferentImagesError
        There are not as many image embeddings as rows of labels.
    ValueError
        There are not as many text embeddings as concepts, an embedding is not finite, rows repeat an image or name
        one that does not exist, ``measured_on`` has some but not all of the images fitted on, no concept is left, or
        the similarities do not rise with presence, so that no calibration exists.

    Warns
    -----
    NotConvergedWarning
        The search did not come to an end.

    References
    ----------
    Paper, Section 3.1, Eq. 5; Guo et al. (2017) for the expected calibration error.
    """
    check_within("max_share", max_share, 0, 1)
    check_at_least("n_bins", n_bins, 1)
    check_embeddings(image_embeddings, text_embeddings, labels)
    fitted = choose_rows("fitted_on", fitted_on, labels.n_images)
    measured = fitted if measured_on is None else choose_rows("measured_on", measured_on, labels.n_images)
    _check_overlap(fitted, measured)
    columns, left_out, share = _choose_concepts(labels, fitted, max_share)
    pairs = Pairs(image_embeddings, text_embeddings, labels, fitted, columns)
    slope, offset = _newton(pairs, share)
    if slope <= 0:
        raise ValueError(
            "The similarities are not higher where a concept is present, so they cannot be calibrated. "
            "Check that texts and labels are in the same order."
        )
    calibration = Calibration(slope, offset / slope, encoder, source, images=images, date=date)
    reliability = measure_pairs(calibration, replace(pairs, rows=measured), n_bins)
    calibration = replace(calibration, bce=reliability.bce, ece=reliability.ece)
    return CalibrationFit(calibration, reliability, left_out)


def _check_overlap(fitted: Tensor, measured: Tensor) -> None:
    shared = fitted[torch.isin(fitted, measured)]
    if len(shared) and not torch.equal(fitted, measured):
        raise ValueError(
            f"{len(shared)} of the {len(measured)} images in measured_on are among the {len(fitted)} in fitted_on "
            f"(row {int(shared[0])} first), so neither fit nor forecast would be measured. "
            "Measure on the images fitted on, or only on others."
        )


def _choose_concepts(
    labels: ConceptMatrix, rows: Tensor, max_share: float
) -> tuple[Int[Tensor, " concepts"], dict[str, float], float]:
    """Return the columns to calibrate on, the share of images of each other concept, and the mean share of these."""
    total = torch.zeros(labels.n_concepts, dtype=torch.float64)
    for block in rows.split(BLOCK_ROWS):
        total += labels.block(block).to(torch.float64).sum(0)
    share = total / len(rows)
    kept = (share > 0) & (share <= max_share) & (share < 1)
    chosen = zip(labels.names, share.tolist(), kept.tolist(), strict=True)
    left_out = {name: part for name, part, keep in chosen if not keep}
    if not bool(kept.any()):
        raise ValueError(
            f"None of the {labels.n_concepts} concepts can be calibrated on: {_say_left_out(left_out)}. "
            f"Use more concepts or images, or a max_share above {max_share:g}."
        )
    return kept.nonzero().flatten(), left_out, float(share[kept].mean())


def _say_left_out(left_out: Mapping[str, float]) -> str:
    absent = [f"'{name}'" for name, share in left_out.items() if share == 0]
    frequent = [f"'{name}' ({share:.0%})" for name, share in left_out.items() if share > 0]
    reasons = ((absent, "in none of the images fitted on"), (frequent, "in too many of the images fitted on"))
    return "; ".join(f"{reason}: {listing(names)}" for names, reason in reasons if names)


@dataclass(frozen=True, eq=False)
class _Point:
    """A place of the search and the objective there: its value, gradient and second derivatives."""

    slope: float
    offset: float
    value: float
    gradient: Float[Tensor, " 2"]
    curvature: Float[Tensor, "2 2"]

    def newton_step(self) -> Float[Tensor, " 2"]:
        """Return the way from the minimum of the local parabola to here."""
        ridge = 1e-12 * self.curvature.trace() * torch.eye(2, dtype=torch.float64)
        return torch.linalg.solve(self.curvature + ridge, self.gradient)

    def minus(self, step: Tensor) -> tuple[float, float]:
        return self.slope - float(step[0]), self.offset - float(step[1])


def _newton(pairs: Pairs, share: float) -> tuple[float, float]:
    """Minimise the convex objective in (a, a·b), halving steps that do not help."""
    here = _evaluate(pairs, 0.0, float(torch.logit(torch.tensor(share, dtype=torch.float64))))
    for _ in range(_MOST_STEPS):
        step = here.newton_step()
        # What the step will gain. Below this the sums' own rounding decides; the last step is still right. The
        # fixed part ends the search where it has no end: if similarity separates present from absent perfectly.
        if float(here.gradient @ step) / 2 <= 1e-12 * here.value + 1e-15:
            return here.minus(step)
        there = _evaluate(pairs, *here.minus(step))
        while there.value > here.value:
            step = step / 2
            there = _evaluate(pairs, *here.minus(step))
        here = there
    warnings.warn(
        f"The calibration still moved after {_MOST_STEPS} steps (a = {here.slope:.4g}, mean cross-entropy "
        f"{here.value:.4g}). Fit it on more images.",
        NotConvergedWarning,
        stacklevel=3,
    )
    return here.slope, here.offset


def _evaluate(pairs: Pairs, slope: float, offset: float) -> _Point:
    """Sum everything Newton's method asks for in one pass over the pairs."""
    value = 0.0
    gradient, curvature = torch.zeros(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    for similarity, presence in pairs:
        logits = similarity * slope + offset
        value += cross_entropy(logits, presence)
        probability = torch.sigmoid(logits)
        error = probability - presence
        gradient += torch.stack([torch.dot(error, similarity), error.sum()])
        weight = probability * (1 - probability)
        weighted = weight * similarity
        mixed = weighted.sum()
        curvature += torch.stack([torch.dot(weighted, similarity), mixed, mixed, weight.sum()]).reshape(2, 2)
    n = pairs.n_pairs
    return _Point(slope, offset, value / n, gradient / n, curvature / n)
