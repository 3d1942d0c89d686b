"""Some neurons on the validation or the test images: their scores with given replacements."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.jackknife import add_rows, estimate_by_sums, groups
from linexp.ablation.losses import Losses
from linexp.ablation.score.scaling import Scaling
from linexp.score import is_constant


@dataclass(frozen=True, eq=False)
class Side:
    """Some neurons on the validation or the test images."""

    losses: Losses
    columns: range
    simulated: Float[Tensor, "images neurons"]
    actual: Float[Tensor, "images neurons"]

    def scores(self, mean: Tensor, norm: Scaling, chosen: Scaling, level: Tensor) -> dict[str, Tensor]:
        """Return the scores with both scalings, standard errors of the chosen one, and the score of a constant.

        Beside them what of the changes is left when they are summed by sign: with the chosen scaling, and of the mean.
        The names are those in ``AblationScores``; everything is [neurons].
        """
        values = [mean.expand_as(self.actual), norm.of(self.simulated)]
        if chosen is not norm:
            values += [chosen.of(self.simulated), level.expand_as(self.actual)]
        changes = self.losses.changes(self.columns, torch.stack(values))
        of_mean, of_norm, of_chosen, of_level = changes[[0, 1, 1, 0] if chosen is norm else [0, 1, 2, 3]]

        def score(changes: Tensor) -> tuple[Tensor, Tensor]:
            return estimate_by_sums(changes.abs(), of_mean.abs(), _sums, _score, groups(len(changes)))

        found = dict(zip(("values", "errors"), score(of_chosen), strict=True))
        found |= {"norm": score(of_norm)[0], "constant": score(of_level)[0]}
        total = add_rows(of_mean.abs())
        found |= {"signed": add_rows(of_chosen) / total, "signed_mean": add_rows(of_mean) / total}
        undefined = is_constant(self.actual) | (total / len(of_mean) <= self.losses.resolution)
        return {name: torch.where(undefined, torch.nan, one) for name, one in found.items()}


def _sums(above: Tensor, below: Tensor) -> Float[Tensor, "2 neurons"]:
    return torch.stack([add_rows(above), add_rows(below)])


def _score(sums: Float[Tensor, "2 neurons"]) -> Float[Tensor, " neurons"]:
    return 1 - sums[0] / sums[1]
