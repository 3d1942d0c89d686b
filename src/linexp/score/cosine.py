"""Cosine scoring: like correlation, but the level of the activations counts too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import Groups, add_rows, estimate_by_sums
from linexp.score.alignment import ActivationScorer, Block


@dataclass(frozen=True)
class CosineScorer(ActivationScorer):
    """Cosine between simulated and recorded activations over images, from -1 to 1; higher is better.

    Nothing is subtracted, so of two activations that are never negative the cosine is never negative either, and the
    bias of the explanation plays a part. A silent explanation, which predicts the same level everywhere, scores 0 all
    the same: the level alone would have a high cosine, and says nothing of any image. Passes both sanity checks
    (``check_metric``).

    References
    ----------
    Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025.
    """

    name = "cosine"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        return estimate_by_sums(_scale(simulated), _scale(recorded), _sums, _cosine, left_out)


def _scale(side: Tensor) -> Tensor:
    """Make the largest value 1, so that squares of tiny activations do not underflow."""
    return side.to(torch.float64) / side.abs().amax(0)


def _sums(simulated: Tensor, recorded: Tensor) -> Float[Tensor, "3 neurons"]:
    products = simulated * recorded, simulated.square(), recorded.square()
    return torch.stack([add_rows(product) for product in products])


def _cosine(sums: Float[Tensor, "3 neurons"]) -> Float[Tensor, " neurons"]:
    return (sums[0] / sums[1:].sqrt().prod(0)).clamp(-1, 1)
