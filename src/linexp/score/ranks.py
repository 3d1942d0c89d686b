"""Images in the order of their activations, with ties: what scores by ranks are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp._internal.jackknife import Groups, jackknife_error

# Of 64 bits, so that two counts fit into a number.
_HALF = 32


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

    def ranks(self, kept: Bool[Tensor, " rows"]) -> Float[Tensor, "rows neurons"]:
        """Return the rank of each kept row among them from the highest, 1, on; equal values share their mean rank."""
        chosen = kept[self.rows]
        until = chosen.cumsum(1)
        through = until.gather(1, self.last)
        above = until.gather(1, self.first) - chosen.gather(1, self.first).to(until.dtype)
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


class Counts(NamedTuple):
    """What stands where, for each wanted image of each neuron, among the images that are kept."""

    wanted_through: Float[Tensor, " wanted"]
    """Wanted images of the same simulated activation or a higher one, itself included."""
    others_above: Float[Tensor, " wanted"]
    others_through: Float[Tensor, " wanted"]
    n_others: Float[Tensor, " wanted"]


def score_wanted(
    simulated: Float[Tensor, "rows neurons"],
    chosen: Bool[Tensor, "rows neurons"],
    value: Callable[[Counts], Float[Tensor, " wanted"]],
    left_out: Groups,
) -> tuple[Tensor, Tensor]:
    """Return the mean over the chosen images of a value that each of them gets, and its standard error."""
    ranked = order(simulated)
    wanted = chosen.T.gather(1, ranked.rows)
    neuron, place = torch.nonzero(wanted, as_tuple=True)
    row, first, last = (places[neuron, place] for places in (ranked.rows, ranked.first, ranked.last))
    # Both counts in one number, so that one sum along the places makes both.
    codes = 1 + (wanted.to(torch.int64) << _HALF)

    def among(kept: Bool[Tensor, " rows"]) -> Float[Tensor, " neurons"]:
        here = codes * kept[ranked.rows]
        until = here.cumsum(1)
        above, through, total = until[neuron, first] - here[neuron, first], until[neuron, last], until[neuron, -1]
        values = value(Counts(_wanted(through), _others(above), _others(through), _others(total)))
        sums = torch.zeros(2, len(codes), dtype=torch.float64)
        counted = kept[row]
        sums.index_add_(1, neuron[counted], torch.stack([values, torch.ones_like(values)])[:, counted])
        return sums[0] / sums[1]

    return with_errors(among, len(simulated), left_out)


def _wanted(codes: Tensor) -> Tensor:
    return (codes >> _HALF).to(torch.float64)


def _others(codes: Tensor) -> Tensor:
    return (codes & ((1 << _HALF) - 1)).to(torch.float64) - _wanted(codes)


def with_errors(among: Callable[[Tensor], Tensor], n_rows: int, left_out: Groups) -> tuple[Tensor, Tensor]:
    """Return the scores among all rows, and their standard errors from those among all but a part."""
    everything = torch.ones(n_rows, dtype=torch.bool)
    left: list[Tensor] = []
    for part in left_out:
        kept = everything.clone()
        kept[part] = False
        left.append(among(kept))
    return among(everything), jackknife_error(torch.stack(left))
