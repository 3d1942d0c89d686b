"""F1: is the neuron active where the explanation says so, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import Groups, estimate_by_sums
from linexp.score.alignment import Block
from linexp.score.threshold import ActiveScorer, count_active, cut


@dataclass(frozen=True)
class F1Scorer(ActiveScorer):
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

    name = "f1"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        return estimate_by_sums(
            cut(simulated, self.top_share), cut(recorded, self.top_share), count_active, _f1, left_out
        )


def _f1(counts: Float[Tensor, "2 neurons"]) -> Float[Tensor, " neurons"]:
    both, either = counts
    return 2 * both / either
