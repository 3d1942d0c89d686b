"""AUPRC: does the explanation rank the images first on which the neuron is most active."""

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
class AUPRCScorer(ActiveScorer):
    """How well the simulated activation finds the most active images: area under precision and recall, from 0 to 1.

    Higher is better; a silent explanation gets what chance does, the share of active images. Images are ranked by the
    simulated activation, equal ones together; wanted are those on which the neuron is called active, its highest
    ``top_share`` (of values that are equal all or none, as in ``F1Scorer``). The area is that of average precision.
    Neither scale nor bias of the explanation plays a part. Passes both sanity checks (``check_metric``).

    Parameters
    ----------
    top_share
        Share of the images, from 0 to 1 (α in the reference).

    Notes
    -----
    The errors take for given from which activation on the neuron counts as active.

    References
    ----------
    Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025.
    """

    name = "auprc"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        return score_wanted(simulated, cut(recorded, self.top_share), _precision, left_out)

    def _chance(self, recorded: Block) -> Float[Tensor, " neurons"]:
        return cut(recorded, self.top_share).to(torch.float64).mean(0)


def _precision(counts: Counts) -> Float[Tensor, " wanted"]:
    return counts.wanted_through / (counts.wanted_through + counts.others_through)
