"""Scores by ranks: AUPRC, which passes the sanity checks; AUROC and Spearman's correlation, which failed one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.matrix import ActivationMatrix
from linexp.score.alignment import score_in_blocks
from linexp.score.base import Scores
from linexp.score.jackknife import add_rows, jackknife_error, shards
from linexp.score.ranks import order
from linexp.score.threshold import TOP_SHARE, check_top_share, cut

# Of 64 bits, so that two counts fit into a number.
_HALF = 32


@dataclass(frozen=True)
class AUPRCScorer:
    """How well the simulated activation finds the most active images: area under precision and recall, from 0 to 1.

    Higher is better; a silent explanation gets what chance does, the share of active images. Images are ranked by the
    simulated activation, equal ones together; wanted are those on which the neuron is called active, its highest
    ``top_share`` (of values that are equal all or none, as in ``F1Scorer``). The area is that of average precision.
    Neither scale nor bias of the explanation plays a part. Passes both sanity checks (``check_metric``).

    Parameters
    ----------
    top_share
        Share of the images, from 0 to 1 (α in the reference).

    References
    ----------
    Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025.
    """

    top_share: float = TOP_SHARE
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_top_share(self.top_share)

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Compare each simulated neuron with its recorded activations.

        Parameters, errors and what is undefined are those of ``CorrelationScorer.score``; the errors take for given
        from which activation on the neuron counts as active.
        """

        def share_of_active(recorded: Tensor) -> Tensor:
            return cut(recorded, self.top_share).to(torch.float64).mean(0)

        metric = f"auprc@{self.top_share:g}"
        measure = _search(_precision, self.top_share)
        return score_in_blocks(simulated, recorded, rows, metric, measure, share_of_active)


@dataclass(frozen=True)
class AUROCScorer:
    """How often an image on which the neuron is active has the higher simulated activation: from 0 to 1.

    Against an image on which it is not; equal activations count half, so a silent explanation gets 0.5. **Fails the
    sanity check of extra labels** (``check_metric``): for concepts in few images a wrong label more changes it next to
    nothing. For comparison with work that reports it, not to choose between explanations.

    Parameters
    ----------
    top_share
        Share of the images on which the neuron is called active, from 0 to 1; see ``AUPRCScorer``.

    References
    ----------
    As ``AUPRCScorer``. INVERT's area ranks by the neuron and is another one; it fails the other check.
    """

    top_share: float = TOP_SHARE
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_top_share(self.top_share)

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Compare each simulated neuron with its recorded activations.

        Parameters, errors and what is undefined are those of ``AUPRCScorer.score``.
        """

        def even(recorded: Tensor) -> Tensor:
            return torch.full((recorded.shape[1],), 0.5, dtype=torch.float64)

        metric = f"auroc@{self.top_share:g}"
        return score_in_blocks(simulated, recorded, rows, metric, _search(_share_below, self.top_share), even)


@dataclass(frozen=True)
class SpearmanScorer:
    """Correlation of the ranks of simulated and recorded activations, from -1 to 1; higher is better.

    Equal activations share their mean rank. **Failed both sanity checks in the reference**, where ties are broken at
    random, which leaves a rare concept next to no correlation even with itself; with mean ranks it passes them on the
    neurons we tried (docs/scoring.md). Still, most images are ones on which a neuron does next to nothing, and their
    order counts as much as that of the others. For comparison with work that reports it.

    References
    ----------
    As ``AUPRCScorer``.
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def score(
        self,
        simulated: ActivationMatrix,
        recorded: ActivationMatrix,
        rows: Sequence[int] | Int[Tensor, " rows"],
    ) -> Scores:
        """Compare each simulated neuron with its recorded activations.

        Parameters, errors and what is undefined are those of ``CorrelationScorer.score``; ranks are made anew
        without the images that are left out.
        """
        return score_in_blocks(simulated, recorded, rows, "spearman", _spearman)


class _Counts(NamedTuple):
    """What stands where, for each wanted image of each neuron, among the images that are kept."""

    wanted_through: Float[Tensor, " wanted"]
    """Wanted images of the same simulated activation or a higher one, itself included."""
    others_above: Float[Tensor, " wanted"]
    others_through: Float[Tensor, " wanted"]
    n_others: Float[Tensor, " wanted"]


def _precision(counts: _Counts) -> Float[Tensor, " wanted"]:
    return counts.wanted_through / (counts.wanted_through + counts.others_through)


def _share_below(counts: _Counts) -> Float[Tensor, " wanted"]:
    return 1 - (counts.others_above + counts.others_through) / 2 / counts.n_others


def _search(
    value: Callable[[_Counts], Float[Tensor, " wanted"]], top_share: float
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Score by the mean over wanted images of a value that each of them gets."""

    def measure(simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
        ranked = order(simulated)
        wanted = cut(recorded, top_share).T.gather(1, ranked.rows)
        neuron, place = torch.nonzero(wanted, as_tuple=True)
        row, first, last = (places[neuron, place] for places in (ranked.rows, ranked.first, ranked.last))
        # Both counts in one number, so that one sum along the places makes both.
        codes = 1 + (wanted.to(torch.int64) << _HALF)

        def among(kept: Bool[Tensor, " rows"]) -> Float[Tensor, " neurons"]:
            here = codes * kept[ranked.rows]
            until = here.cumsum(1)
            above, through, total = until[neuron, first] - here[neuron, first], until[neuron, last], until[neuron, -1]
            values = value(_Counts(_wanted(through), _others(above), _others(through), _others(total)))
            sums = torch.zeros(2, len(codes), dtype=torch.float64)
            counted = kept[row]
            sums.index_add_(1, neuron[counted], torch.stack([values, torch.ones_like(values)])[:, counted])
            return sums[0] / sums[1]

        return _with_errors(among, len(simulated))

    return measure


def _wanted(codes: Tensor) -> Tensor:
    return (codes >> _HALF).to(torch.float64)


def _others(codes: Tensor) -> Tensor:
    return (codes & ((1 << _HALF) - 1)).to(torch.float64) - _wanted(codes)


def _spearman(simulated: Tensor, recorded: Tensor) -> tuple[Tensor, Tensor]:
    one, other = order(simulated), order(recorded)

    def among(kept: Bool[Tensor, " rows"]) -> Tensor:
        # Mean ranks add up to the same whatever is equal, so the mean is known.
        middle = (int(kept.sum()) + 1) / 2
        first, second = one.ranks(kept) - middle, other.ranks(kept) - middle
        size = add_rows(first.square()).sqrt() * add_rows(second.square()).sqrt()
        return (add_rows(first * second) / size).clamp(-1, 1)

    return _with_errors(among, len(simulated))


def _with_errors(among: Callable[[Tensor], Tensor], n_rows: int) -> tuple[Tensor, Tensor]:
    """Return the scores among all rows, and their standard errors from those among all but a part."""
    everything = torch.ones(n_rows, dtype=torch.bool)
    left: list[Tensor] = []
    for part in shards(n_rows):
        kept = everything.clone()
        kept[part] = False
        left.append(among(kept))
    return among(everything), jackknife_error(torch.stack(left))
