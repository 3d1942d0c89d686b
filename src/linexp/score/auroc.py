"""AUROC: how often the explanation ranks an active image above another; it fails a sanity check."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import Groups
from linexp.score.alignment import Block
from linexp.score.ranks import Counts, score_wanted
from linexp.score.threshold import ActiveScorer, cut


@dataclass(frozen=True)
class AUROCScorer(ActiveScorer):
    """How often an image on which the neuron is active has the higher simulated activation: from 0 to 1.

    Against an image on which it is not; equal activations count half, so a silent explanation gets 0.5. **Fails the
    sanity check of extra labels** (``check_metric``): for concepts in few images a wrong label more changes it next to
    nothing. For comparison with work that reports it, not to choose between explanations.

    Parameters
    ----------
    top_share
        Share of the images on which the neuron is called active, from 0 to 1; see ``AUPRCScorer``.

    References
    ----------
    As ``AUPRCScorer``. INVERT's area ranks by the neuron and is another one; it fails the other check.
    """

    name = "auroc"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        return score_wanted(simulated, cut(recorded, self.top_share), _share_below, left_out)

    def _chance(self, recorded: Block) -> Float[Tensor, " neurons"]:
        return torch.full((recorded.shape[1],), 0.5, dtype=torch.float64)


def _share_below(counts: Counts) -> Float[Tensor, " wanted"]:
    return 1 - (counts.others_above + counts.others_through) / 2 / counts.n_others
