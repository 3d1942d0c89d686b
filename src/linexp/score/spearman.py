"""Spearman's correlation: that of ranks; it failed the sanity checks in the reference."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from linexp._internal.jackknife import Groups, add_rows
from linexp.score.alignment import ActivationScorer, Block
from linexp.score.ranks import order, with_errors


@dataclass(frozen=True)
class SpearmanScorer(ActivationScorer):
    """Correlation of the ranks of simulated and recorded activations, from -1 to 1; higher is better.

    Equal activations share their mean rank. **Failed both sanity checks in the reference**, where ties are broken at
    random, which leaves a rare concept next to no correlation even with itself; with mean ranks it passes them on the
    neurons we tried (docs/scoring.md). Still, most images are ones on which a neuron does next to nothing, and their
    order counts as much as that of the others. For comparison with work that reports it.

    Notes
    -----
    For the errors, ranks are made anew without the images that are left out.

    References
    ----------
    As ``AUPRCScorer``.
    """

    name = "spearman"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        one, other = order(simulated), order(recorded)

        def among(kept: Bool[Tensor, " rows"]) -> Tensor:
            # Mean ranks add up to the same whatever is equal, so the mean is known.
            middle = (int(kept.sum()) + 1) / 2
            first, second = one.ranks(kept) - middle, other.ranks(kept) - middle
            size = add_rows(first.square()).sqrt() * add_rows(second.square()).sqrt()
            return (add_rows(first * second) / size).clamp(-1, 1)

        return with_errors(among, len(simulated), left_out)
