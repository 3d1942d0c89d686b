"""Correlation scoring (Eq. 10): how well the simulated activations track the recorded ones."""

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
from linexp.score.jackknife import add_rows, jackknife_error, shards


@dataclass(frozen=True)
class CorrelationScorer:
    """Pearson correlation between simulated and recorded activations, from -1 to 1; higher is better.

    Scale and bias of the explanation play no part.

    References
    ----------
    Paper, Section 4, Eq. 10; standard errors: Efron & Stein (1981), The jackknife estimate of variance.
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

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
            In the order of ``simulated.neurons``; NaN where the recorded side is constant over ``rows``, 0 where only
            the simulated one is (``silent``). Their standard errors leave out every twentieth of ``rows`` at a time.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or a row is not among them.
        ValueError
            A simulated neuron was not recorded, or is one of another layer, or there are fewer than two rows.
        """
        return score_in_blocks(simulated, recorded, rows, "correlation", _score_neurons)


def _score_neurons(
    simulated: Float[Tensor, "rows neurons"], recorded: Float[Tensor, "rows neurons"]
) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
    """Return the correlations and their standard errors."""
    simulated, recorded = _centre_and_scale(simulated), _centre_and_scale(recorded)
    return _correlate(_sums(simulated, recorded), len(simulated)), _jackknife(simulated, recorded)


def correlate_columns(one: Float[Tensor, "rows columns"], other: Float[Tensor, "rows columns"]) -> Tensor:
    """Return the correlation of each column of one matrix with that of another [columns]; NaN where one is constant."""
    return _correlate(_sums(_centre_and_scale(one), _centre_and_scale(other)), len(one))


def _centre_and_scale(side: Tensor) -> Tensor:
    side = side.to(torch.float64)
    side = side - add_rows(side) / len(side)
    # Scaled before multiplying, so that neurons of tiny activations do not underflow.
    return side / side.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)


def _sums(simulated: Tensor, recorded: Tensor) -> Float[Tensor, "5 neurons"]:
    """Return the sums over rows that a correlation is made of."""
    products = simulated, recorded, simulated * recorded, simulated.square(), recorded.square()
    return torch.stack([add_rows(product) for product in products])


def _correlate(sums: Float[Tensor, "5 neurons"], n_rows: int) -> Float[Tensor, " neurons"]:
    along = sums[2] - sums[0] * sums[1] / n_rows
    size = (sums[3:] - sums[:2].square() / n_rows).sqrt().prod(0)
    return (along / size).clamp(-1, 1)


def _jackknife(simulated: Tensor, recorded: Tensor) -> Float[Tensor, " neurons"]:
    """Return the standard errors of the correlations.

    Where one side does not vary without some part, the error is not known.
    """
    parts = [(simulated[part], recorded[part]) for part in shards(len(simulated))]
    sums = [_sums(one, other) for one, other in parts]
    total = add_rows(torch.stack(sums))
    left: list[Tensor] = []
    for part, (rows, _) in zip(sums, parts, strict=True):
        rest, n_rest = total - part, len(simulated) - len(rows)
        varies = rest[3:] - rest[:2].square() / n_rest > 1e-12 * total[3:]
        left.append(torch.where(varies.all(0), _correlate(rest, n_rest), torch.nan))
    return jackknife_error(torch.stack(left))
