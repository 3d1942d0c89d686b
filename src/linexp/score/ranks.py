"""Images in the order of their activations, with ties: what scores by ranks are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Order:
    """The rows of each neuron from its highest value to its lowest.

    Parameters
    ----------
    rows
        Row at each place [neurons, places].
    first, last
        The first and the last place of equal value [neurons, places].
    """

    rows: Int[Tensor, "neurons places"]
    first: Int[Tensor, "neurons places"]
    last: Int[Tensor, "neurons places"]

    def counts(self, chosen: Bool[Tensor, "neurons places"]) -> tuple[Tensor, Tensor]:
        """Count the chosen places above each value, and those above it or equal."""
        until = chosen.cumsum(1)
        through = until.gather(1, self.last)
        return until.gather(1, self.first) - chosen.gather(1, self.first).to(until.dtype), through

    def ranks(self, kept: Bool[Tensor, " rows"]) -> Float[Tensor, "rows neurons"]:
        """Return the rank of each kept row among them from the highest, 1, on; equal values share their mean rank."""
        above, through = self.counts(kept[self.rows])
        ranks = torch.empty(self.rows.shape, dtype=torch.float64)
        return ranks.scatter_(1, self.rows, (above + through + 1).to(torch.float64) / 2).T[kept]


def order(values: Float[Tensor, "rows neurons"]) -> Order:
    """Sort the rows of each neuron by its values, highest first."""
    ordered, rows = values.T.contiguous().sort(dim=1, descending=True, stable=True)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = torch.ones(len(ordered), 1, dtype=torch.bool)
    places = torch.arange(ordered.shape[1])
    first = torch.where(torch.cat([edge, differs], 1), places, 0).cummax(1).values
    last = torch.where(torch.cat([differs, edge], 1), places, len(places)).flip(1).cummin(1).values.flip(1)
    return Order(rows, first, last)
