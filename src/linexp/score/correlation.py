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
# Parts of the rows left out in turn.
_N_SHARDS = 20


@dataclass(frozen=True)
class CorrelationScorer:
    """Pearson correlation between simulated and recorded activations, from -1 to 1; higher is better.

    Scale and bias of the explanation play no part.

    References
    ----------
    Paper, Section 4, Eq. 10; standard errors: Efron & Stein (1981), The jackknife estimate of variance.
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
            In the order of ``simulated.neurons``; NaN where either side is constant over ``rows``. Their standard
            errors leave out every twentieth of ``rows`` at a time.

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
            _score_neurons(simulated.values[chosen, start:stop], recorded.values[chosen, start:stop])
            for start in range(0, simulated.n_neurons, _NEURONS_PER_BLOCK)
            for stop in (start + _NEURONS_PER_BLOCK,)
        ]
        values, errors = (torch.cat(side) for side in zip(*pieces, strict=True))
        return Scores(values, simulated.neurons, "correlation", len(chosen), errors)


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


def _score_neurons(
    simulated: Float[Tensor, "rows neurons"], recorded: Float[Tensor, "rows neurons"]
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Return the correlations and their standard errors."""
    constant = (simulated == simulated[0]).all(0) | (recorded == recorded[0]).all(0)
    simulated, recorded = _centre_and_scale(simulated), _centre_and_scale(recorded)
    values = _correlate(_sums(simulated, recorded), len(simulated))
    return torch.where(constant, torch.nan, values), torch.where(constant, torch.nan, _jackknife(simulated, recorded))


def _centre_and_scale(side: Tensor) -> Tensor:
    side = side.to(torch.float64)
    side = side - side.mean(0)
    # Scaled before multiplying, so that neurons of tiny activations do not underflow.
    return side / side.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)


def _sums(simulated: Tensor, recorded: Tensor) -> Float[Tensor, "5 neurons"]:
    """Return the sums over rows that a correlation is made of."""
    squares = simulated.square().sum(0), recorded.square().sum(0)
    return torch.stack([simulated.sum(0), recorded.sum(0), (simulated * recorded).sum(0), *squares])


def _correlate(sums: Float[Tensor, "5 neurons"], n_rows: int) -> Float[Tensor, " neurons"]:
    along = sums[2] - sums[0] * sums[1] / n_rows
    size = (sums[3:] - sums[:2].square() / n_rows).sqrt().prod(0)
    return (along / size).clamp(-1, 1)


def _jackknife(simulated: Tensor, recorded: Tensor) -> Float[Tensor, " neurons"]:
    """Return the standard errors of the correlations: each part of the rows is left out once.

    Parts are taken with a stride, so that rows sorted by class are spread over all of them. Where one side does not
    vary without some part, the error is not known.
    """
    n_shards = min(_N_SHARDS, len(simulated))
    parts = [(simulated[start::n_shards], recorded[start::n_shards]) for start in range(n_shards)]
    sums = [_sums(one, other) for one, other in parts]
    total = torch.stack(sums).sum(0)
    left: list[Tensor] = []
    for part, (rows, _) in zip(sums, parts, strict=True):
        rest, n_rest = total - part, len(simulated) - len(rows)
        varies = rest[3:] - rest[:2].square() / n_rest > 1e-12 * total[3:]
        left.append(torch.where(varies.all(0), _correlate(rest, n_rest), torch.nan))
    deviations = torch.stack(left) - torch.stack(left).mean(0)
    return ((n_shards - 1) / n_shards * deviations.square().sum(0)).sqrt()
