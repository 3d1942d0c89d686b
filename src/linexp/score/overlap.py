"""F1 and intersection over union: is the neuron active where the explanation says so, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp.matrix import ActivationMatrix
from linexp.score.alignment import score_in_blocks
from linexp.score.base import Scores
from linexp.score.jackknife import score_sums
from linexp.score.threshold import TOP_SHARE, check_top_share, cut

Sums = Float[Tensor, "2 neurons"]


@dataclass(frozen=True)
class F1Scorer:
    """F1 of the most active images, from 0 to 1; higher is better.

    The images on which the neuron is called active are its highest ``top_share``; those on which the explanation says
    so are the highest of the simulated activations, the same share of them. Equal activations are not parted: a
    concept of zeros and ones is called active where it is one. So neither scale nor bias of the explanation plays a
    part; a silent explanation calls no image active and scores 0. Passes both sanity checks (``check_metric``).

    Parameters
    ----------
    top_share
        Share of the images, from 0 to 1 (α in the reference).

    Notes
    -----
    The errors take for given from which activation on an image counts as active.

    References
    ----------
    Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025. There the
    simulated side is cut at 0.5, which is the same for concepts of zeros and ones, and means little for weighted sums.

    Examples
    --------
    >>> import linexp as le
    >>> recorded = le.ActivationMatrix([[0.9], [0.8], [0.1], [0.0]])
    >>> simulated = le.ActivationMatrix([[3.0], [1.0], [2.0], [0.0]])
    >>> le.F1Scorer(top_share=0.5).score(simulated, recorded, range(4)).mean
    0.5
    """

    top_share: float = TOP_SHARE
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_top_share(self.top_share)

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Compare each simulated neuron with its recorded activations.

        Parameters, errors and what is undefined are those of ``CorrelationScorer.score``.
        """

        def measure(simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
            return score_sums(cut(simulated, self.top_share), cut(recorded, self.top_share), _count, _f1)

        return score_in_blocks(simulated, recorded, rows, f"f1@{self.top_share:g}", measure)


@dataclass(frozen=True)
class IoUScorer:
    """Intersection over union of the most active images, from 0 to 1; higher is better.

    Which images these are is said in ``F1Scorer``, of which this is a function: F1 / (2 - F1). Passes both sanity
    checks (``check_metric``).

    Parameters
    ----------
    top_share
        Share of the images, from 0 to 1 (α in the reference).

    References
    ----------
    As ``F1Scorer``.
    """

    top_share: float = TOP_SHARE
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_top_share(self.top_share)

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Compare each simulated neuron with its recorded activations.

        Parameters, errors and what is undefined are those of ``CorrelationScorer.score``.
        """

        def measure(simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
            return score_sums(cut(simulated, self.top_share), cut(recorded, self.top_share), _count, _iou)

        return score_in_blocks(simulated, recorded, rows, f"iou@{self.top_share:g}", measure)


def _count(simulated: Tensor, recorded: Tensor) -> Sums:
    """Return on how many images both sides are active, and the sum over sides of on how many one is."""
    return torch.stack([(simulated & recorded).sum(0), simulated.sum(0) + recorded.sum(0)]).to(torch.float64)


def _f1(counts: Sums) -> Float[Tensor, " neurons"]:
    both, either = counts
    return 2 * both / either


def _iou(counts: Sums) -> Float[Tensor, " neurons"]:
    both, either = counts
    return both / (either - both)
