"""Some neurons on the validation or the test images: their scores with given replacements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.ablation.losses import Losses
from linexp.ablation.score.model import Opened
from linexp.ablation.score.scaling import Scaling
from linexp.matrix import ActivationMatrix
from linexp.score import is_constant

_N_SHARDS = 20


class OnImages(NamedTuple):
    """Scores of some neurons on the validation or the test images."""

    values: Float[Tensor, " neurons"]
    errors: Float[Tensor, " neurons"]
    norm: Float[Tensor, " neurons"]
    constant: Float[Tensor, " neurons"]
    signed: Float[Tensor, " neurons"]
    signed_mean: Float[Tensor, " neurons"]


class Block(NamedTuple):
    """Results for some neurons."""

    values: Float[Tensor, " neurons"]
    errors: Float[Tensor, " neurons"]
    norm: Float[Tensor, " neurons"]
    constant: Float[Tensor, " neurons"]
    signed: Float[Tensor, " neurons"]
    signed_mean: Float[Tensor, " neurons"]
    val: Float[Tensor, " neurons"]
    c: Float[Tensor, " neurons"]
    d: Float[Tensor, " neurons"]
    level: Float[Tensor, " neurons"]


COLUMNS = (*Block._fields, "ceiling", "ceiling_norm")


@dataclass(frozen=True, eq=False)
class Side:
    """Some neurons on the validation or the test images."""

    losses: Losses
    columns: range
    simulated: Float[Tensor, "images neurons"]
    actual: Float[Tensor, "images neurons"]

    def scores(self, mean: Tensor, norm: Scaling, chosen: Scaling, level: Tensor) -> OnImages:
        """Return the scores with both scalings, standard errors of the chosen one, and the score of a constant.

        Beside them what of the changes is left when they are summed by sign: with the chosen scaling, and of the mean.
        """
        values = [mean.expand_as(self.actual), norm.of(self.simulated)]
        if chosen is not norm:
            values += [chosen.of(self.simulated), level.expand_as(self.actual)]
        changes = self.losses.changes(self.columns, torch.stack(values))
        by_sign = changes[1 if chosen is norm else 2].sum(0), changes[0].sum(0)
        changes = changes.abs()
        by_mean, by_norm = changes[0], changes[1]
        by_chosen, by_level = (by_norm, by_mean) if chosen is norm else (changes[2], changes[3])
        undefined = is_constant(self.actual) | (by_mean.mean(0) <= self.losses.resolution)
        scores = [1 - changed.sum(0) / by_mean.sum(0) for changed in (by_chosen, by_norm, by_level)]
        signed = [change / by_mean.sum(0) for change in by_sign]
        found = scores[0], _errors(by_chosen, by_mean), *scores[1:], *signed
        return OnImages(*(torch.where(undefined, torch.nan, one) for one in found))

    @property
    def of_recorded(self) -> Side:
        """The same with the recorded activations in the place of the simulated ones."""
        return replace(self, simulated=self.actual)


def both_sides(
    opened: Opened, simulated: ActivationMatrix, recorded: ActivationMatrix, columns: range
) -> tuple[Side, Side]:
    """Return some neurons on the validation and on the test images."""
    val, test = (
        Side(losses, columns, *(one.values[rows][:, columns].double() for one in (simulated, recorded)))
        for losses, rows in ((opened.val, opened.val_rows), (opened.test, opened.test_rows))
    )
    return val, test


def _errors(above: Float[Tensor, "images neurons"], below: Float[Tensor, "images neurons"]) -> Tensor:
    """Return the standard errors of 1 − Σabove / Σbelow, by leaving out each of some parts of the images."""
    n_shards = min(_N_SHARDS, len(above))
    left = torch.stack([_without(above, part, n_shards) / _without(below, part, n_shards) for part in range(n_shards)])
    return ((n_shards - 1) / n_shards * (left - left.mean(0)).square().sum(0)).sqrt()


def _without(side: Tensor, part: int, n_shards: int) -> Tensor:
    return side.sum(0) - side[part::n_shards].sum(0)
