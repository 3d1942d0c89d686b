"""Which images a neuron is called active on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_within
from linexp.score.alignment import ActivationScorer

TOP_SHARE = 0.05
"""Share of the images on which a neuron is called active, unless something else is asked for."""


@dataclass(frozen=True)
class ActiveScorer(ActivationScorer):
    """What scorers share to whom a neuron is active on a share of the images, and on the others not."""

    top_share: float = TOP_SHARE
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_within("top_share", self.top_share, 0, 1)

    @property
    def metric(self) -> str:
        """What the scores are called: the name and the share."""
        return f"{self.name}@{self.top_share:g}"


def cut(values: Float[Tensor, "rows neurons"], top_share: float) -> Bool[Tensor, "rows neurons"]:
    """Return the rows in which each neuron is among its highest values.

    Equal values are never on both sides. Of the numbers of rows for which that can be kept, the one nearest to
    ``top_share`` is taken, at least one row and not all; of two as near, the smaller. So what has two values only,
    such as a concept that is there or not, is active where it has the larger.

    Parameters
    ----------
    values
        None of the neurons is constant.
    top_share
        From 0 to 1.
    """
    n_rows, wanted = len(values), top_share * len(values)
    columns = values.T.contiguous()
    place = min(max(round(wanted), 1), n_rows - 1)
    level = columns.topk(place, dim=1).values[:, -1:]
    # The value at the place belongs wholly above or wholly below.
    above, with_level = (columns > level).sum(1), (columns >= level).sum(1)
    far = torch.full_like(above, 2 * n_rows, dtype=torch.float64)
    without = torch.where(above > 0, (above - wanted).abs(), far)
    including = torch.where(with_level < n_rows, (with_level - wanted).abs(), far)
    takes_level = (including < without)[:, None]
    return torch.where(takes_level, columns >= level, columns > level).T


def count_active(
    simulated: Bool[Tensor, "rows neurons"], recorded: Bool[Tensor, "rows neurons"]
) -> Float[Tensor, "2 neurons"]:
    """Return on how many images both sides are active, and the sum over sides of on how many one is."""
    return torch.stack([(simulated & recorded).sum(0), simulated.sum(0) + recorded.sum(0)]).to(torch.float64)
