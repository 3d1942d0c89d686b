"""Correlation scoring (Eq. 10): how well the simulated activations track the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._checks import DifferentImagesError, check_same_images
from linexp.matrix import ActivationMatrix
from linexp.score.base import Scores

# Neurons centred at a time: bounds the memory for float64 copies.
_NEURONS_PER_BLOCK = 256


@dataclass(frozen=True)
class CorrelationScorer:
    """Pearson correlation between simulated and recorded activations, from -1 to 1; higher is better.

    Scale and bias of the explanation play no part.

    References
    ----------
    Paper, Section 4, Eq. 10.
    """

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Correlate each simulated neuron with its recorded activations.

        Parameters
        ----------
        simulated
            Output of ``simulate``, for all the recorded neurons or some of them.
        recorded
            Output of ``record``.
        rows
            The images to score on: the test rows of the split.

        Returns
        -------
        Scores
            In the order of ``simulated.neurons``; NaN where either side is constant over ``rows``.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or a row is not among them.
        ValueError
            A simulated neuron was not recorded, or there are fewer than two rows.
        """
        check_same_images(simulated.images, recorded.images, simulated.n_images, recorded.n_images)
        chosen = _check_rows(rows, recorded.n_images)
        recorded = recorded.select(simulated.neurons)
        pieces = [
            _correlate(simulated.values[chosen, start:stop], recorded.values[chosen, start:stop])
            for start in range(0, simulated.n_neurons, _NEURONS_PER_BLOCK)
            for stop in (start + _NEURONS_PER_BLOCK,)
        ]
        return Scores(torch.cat(pieces), simulated.neurons, "correlation", len(chosen))


def _check_rows(rows: Sequence[int] | Tensor, n_images: int) -> Tensor:
    chosen = torch.as_tensor(rows).to(torch.int64).flatten()
    if len(chosen) < 2:
        raise ValueError(f"There are {len(chosen)} images to score on. A correlation needs at least two.")
    outside = chosen[(chosen < 0) | (chosen >= n_images)]
    if len(outside):
        raise DifferentImagesError(
            f"Image {int(outside[0])} is to be scored on, but the images are 0 to {n_images - 1}. "
            "Take the rows from the split of these images."
        )
    return chosen


def _correlate(
    simulated: Float[Tensor, "rows neurons"], recorded: Float[Tensor, "rows neurons"]
) -> Float[Tensor, " neurons"]:
    constant = (simulated == simulated[0]).all(0) | (recorded == recorded[0]).all(0)
    simulated, recorded = simulated.to(torch.float64), recorded.to(torch.float64)
    simulated, recorded = simulated - simulated.mean(0), recorded - recorded.mean(0)
    # Scaled before multiplying, so that neurons of tiny activations do not underflow.
    simulated, recorded = (
        side / side.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny) for side in (simulated, recorded)
    )
    along = (simulated * recorded).sum(0)
    size = simulated.square().sum(0).sqrt() * recorded.square().sum(0).sqrt()
    return torch.where(constant, torch.nan, (along / size).clamp(-1, 1))
