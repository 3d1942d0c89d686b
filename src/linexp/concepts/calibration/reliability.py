"""How far calibrated probabilities are true: cross-entropy, calibration error, and the curve behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from linexp._internal.checks import check_at_least, check_same_images
from linexp.concepts.calibration.calibration import Calibration
from linexp.matrix import ConceptMatrix, Rows

# Images looked at together, always: the caller's memory, and so the sums' last bits, depend on nothing else.
BLOCK_ROWS = 2048
# Pairs handed out together: few enough that what is computed from them stays in the processor's cache.
_PIECE = 1 << 17


@dataclass(frozen=True, eq=False)
class Reliability:
    """How far the probabilities of a calibration agree with what is in the images.

    Parameters
    ----------
    predicted, observed
        The reliability curve: mean probability, and share of pairs with the concept, in each of the bins that has a
        pair, by rising probability [bins]. Of a perfect calibration the two are equal.
    n_pairs
        Number of pairs of image and concept in these bins [bins].
    bce
        Mean binary cross-entropy over all pairs, in nats; 0 is best.
    ece
        Expected calibration error, from 0 (best) to 1: the distance of the two, averaged over all pairs.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks, Eq. 3.
    """

    predicted: Float[Tensor, " bins"]
    observed: Float[Tensor, " bins"]
    n_pairs: Int[Tensor, " bins"]
    bce: float
    ece: float


def measure_reliability(
    calibration: Calibration,
    image_embeddings: Float[Tensor, "images dims"],
    text_embeddings: Float[Tensor, "concepts dims"],
    labels: ConceptMatrix,
    *,
    rows: Rows | None = None,
    n_bins: int = 15,
) -> Reliability:
    """Measure a calibration on images whose concepts are known, over all pairs of image and concept.

    The images are looked at in blocks, so that the memory needed does not grow with their number.

    Parameters
    ----------
    calibration
        What turns similarities into probabilities.
    rows
        Images to measure on. Default: all.
    image_embeddings, text_embeddings, labels, n_bins
        As in ``fit_calibration``, from the encoder of the calibration.

    Raises
    ------
    DifferentImagesError, ValueError
        As ``fit_calibration`` refuses them; or ``rows`` is empty, repeats an image or names one that does not exist.
    """
    check_embeddings(image_embeddings, text_embeddings, labels)
    everything = torch.arange(labels.n_concepts)
    chosen = choose_rows("rows", rows, labels.n_images)
    return measure_pairs(calibration, Pairs(image_embeddings, text_embeddings, labels, chosen, everything), n_bins)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of some images (rows) with some concepts (columns), handed out piece by piece, in float64."""

    image_embeddings: Float[Tensor, "images dims"]
    text_embeddings: Float[Tensor, "concepts dims"]
    labels: ConceptMatrix
    rows: Int[Tensor, " rows"]
    columns: Int[Tensor, " columns"]

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]]:
        """Yield the similarity and the presence of one piece of the pairs after the other."""
        # index_select copies, row by row: the products below see the same memory however the caller's is laid out.
        texts = self.text_embeddings.detach().index_select(0, self.columns).to(torch.float64)
        for rows in self.rows.split(BLOCK_ROWS):
            images = self.image_embeddings.detach().index_select(0, rows).to(torch.float64)
            _check_finite(images, rows)
            similarity = (images @ texts.T).flatten().split(_PIECE)
            presence = self.labels.block(rows).index_select(1, self.columns).flatten().split(_PIECE)
            for x, y in zip(similarity, presence, strict=True):
                yield x, y.to(torch.float64)


def measure_pairs(calibration: Calibration, pairs: Pairs, n_bins: int) -> Reliability:
    """Measure a calibration on these pairs."""
    check_at_least("n_bins", n_bins, 1)
    loss, count = 0.0, torch.zeros(n_bins, dtype=torch.int64)
    predicted, observed = torch.zeros(2, n_bins, dtype=torch.float64)
    for similarity, presence in pairs:
        loss += cross_entropy(calibration.a * (similarity + calibration.b), presence)
        probability = calibration.probability(similarity)
        bin_ = (probability * n_bins).long().clamp_max_(n_bins - 1)
        count += torch.bincount(bin_, minlength=n_bins)
        predicted += torch.bincount(bin_, probability, n_bins)
        observed += torch.bincount(bin_, presence, n_bins)
    used = count > 0
    distance = (predicted - observed).abs().sum() / pairs.n_pairs  # the bins' sizes cancel
    n_pairs = count[used]
    return Reliability(
        predicted[used] / n_pairs, observed[used] / n_pairs, n_pairs, loss / pairs.n_pairs, float(distance)
    )


def cross_entropy(logits: Float[Tensor, " pairs"], presence: Float[Tensor, " pairs"]) -> float:
    """Return the sum of the binary cross-entropies, in nats."""
    # In this form no term is negative, so that nothing cancels however sure and right the probabilities are.
    wrong = logits.clamp_min(0) - presence * logits
    return float(wrong.sum() - logsigmoid(logits.abs()).sum())


def check_embeddings(image_embeddings: Tensor, text_embeddings: Tensor, labels: ConceptMatrix) -> None:
    """Raise ``ValueError`` unless there is one vector for each image and concept, all of one length."""
    check_same_images(None, labels.images, len(image_embeddings), labels.n_images)
    if len(text_embeddings) != labels.n_concepts:
        raise ValueError(
            f"There are {len(text_embeddings)} text embeddings for {labels.n_concepts} concepts. Embed each name once."
        )
    if image_embeddings.shape[1] != text_embeddings.shape[1]:
        raise ValueError(
            f"The images are embedded in {image_embeddings.shape[1]} dimensions and the texts in "
            f"{text_embeddings.shape[1]}. Use one encoder for both."
        )
    wrong = (~torch.isfinite(text_embeddings).all(1)).nonzero()
    if len(wrong):
        raise ValueError(
            f"The embedding of the concept '{labels.names[int(wrong[0])]}' is NaN or infinite. "
            "Look at the encoder and its number format."
        )


def choose_rows(name: str, rows: Rows | None, n_images: int) -> Int[Tensor, " rows"]:
    """Return which rows are meant, each once, in ascending order: the order they are given in changes nothing."""
    if rows is None or isinstance(rows, slice):
        chosen = torch.arange(n_images)[rows if rows is not None else slice(None)]
    else:
        chosen = torch.as_tensor(rows).flatten()
    if not len(chosen):
        raise ValueError(f"{name} has no image. Name at least one.")
    if chosen.dtype.is_floating_point or chosen.dtype == torch.bool:
        raise ValueError(f"{name} is of type {chosen.dtype}. Give row numbers (whole numbers).")
    chosen = chosen.to(torch.int64).sort().values
    for row in (int(chosen[0]), int(chosen[-1])):
        if not 0 <= row < n_images:
            raise ValueError(f"{name} contains row {row}. There are {n_images} images: name rows 0 to {n_images - 1}.")
    twice = chosen[1:][chosen[1:] == chosen[:-1]]
    if len(twice):
        raise ValueError(f"{name} contains row {int(twice[0])} twice. Name each image once.")
    return chosen


def _check_finite(images: Tensor, rows: Tensor) -> None:
    finite = torch.isfinite(images).all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"The embedding of image {int(rows[~finite][0])} is NaN or infinite. "
            "Look at the encoder and its number format."
        )
