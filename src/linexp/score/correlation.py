"""Correlation scoring (Eq. 10): how well the simulated activations track the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import Groups, add_rows, jackknife_error
from linexp.score.alignment import ActivationScorer, Block


@dataclass(frozen=True)
class CorrelationScorer(ActivationScorer):
    """Pearson correlation between simulated and recorded activations, from -1 to 1; higher is better.

    Scale and bias of the explanation play no part.

    References
    ----------
    Paper, Section 4, Eq. 10; standard errors: Efron & Stein (1981), The jackknife estimate of variance.
    """

    name = "correlation"

    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        simulated, recorded = _centre_and_scale(simulated), _centre_and_scale(recorded)
        return _correlate(_sums(simulated, recorded), len(simulated)), _jackknife(simulated, recorded, left_out)


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


def _jackknife(simulated: Tensor, recorded: Tensor, left_out: Groups) -> Float[Tensor, " neurons"]:
    """Return the standard errors of the correlations.

    Where one side does not vary without some part, the error is not known.
    """
    parts = [(simulated[part], recorded[part]) for part in left_out]
    sums = [_sums(one, other) for one, other in parts]
    total = add_rows(torch.stack(sums))
    left: list[Tensor] = []
    for part, (rows, _) in zip(sums, parts, strict=True):
        rest, n_rest = total - part, len(simulated) - len(rows)
        # What is subtracted leaves rounding in place of 0.
        varies = rest[3:] - rest[:2].square() / n_rest > 1e-12 * total[3:]
        left.append(torch.where(varies.all(0), _correlate(rest, n_rest), torch.nan))
    return jackknife_error(torch.stack(left))
