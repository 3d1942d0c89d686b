"""Intersection over union: the same question as F1, on another scale."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import Groups, estimate_by_sums
from linexp.score.alignment import Block
from linexp.score.threshold import ActiveScorer, count_active, cut


@dataclass(frozen=True)
class IoUScorer(ActiveScorer):
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

    name = "iou"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        return estimate_by_sums(
            cut(simulated, self.top_share), cut(recorded, self.top_share), count_active, _iou, left_out
        )


def _iou(counts: Float[Tensor, "2 neurons"]) -> Float[Tensor, " neurons"]:
    both, either = counts
    return both / (either - both)
