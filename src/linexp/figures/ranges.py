"""Even ranges of a neuron's activation, and pictures drawn by lot from each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from linexp._internal.checks import check_at_least

N_RANGES = 8
"""How many ranges the paper divides a neuron's activation into (Section 5.1)."""


@dataclass(frozen=True)
class Ranges:
    """Ranges of equal width from ``low`` to ``high``, lowest first.

    Parameters
    ----------
    low, high
        Where the first range begins and the last one ends.
    n_ranges
        How many there are, at least one.
    """

    low: float
    high: float
    n_ranges: int = N_RANGES

    def __post_init__(self) -> None:
        check_at_least("n_ranges", self.n_ranges, 1)

    @property
    def edges(self) -> Float[np.ndarray, " edges"]:
        """The ends of the ranges, one more than there are ranges."""
        return np.linspace(self.low, self.high, self.n_ranges + 1)

    @property
    def centres(self) -> Float[np.ndarray, " ranges"]:
        """The middle of each range."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def places(self, activations: Float[np.ndarray, " images"]) -> Int[np.ndarray, " images"]:
        """Return the number of each activation's range, from 0; −1 below the first one.

        A range holds its lower end and not its upper one; the last range holds both.
        """
        return np.searchsorted(self.edges[:-1], activations, side="right") - 1


def even_ranges(activations: Float[np.ndarray, " images"], n_ranges: int = N_RANGES) -> Ranges:
    """Return even ranges from 0 to the highest activation; from the lowest one where none is above 0.

    References
    ----------
    Paper, Section 5.1: "8 evenly spaced buckets between 0 and the max activation of the neuron".
    """
    high = float(activations.max())
    return Ranges(0.0 if high > 0 else float(activations.min()), high, n_ranges)


def choose_pictures(
    activations: Float[np.ndarray, " images"],
    ranges: Ranges,
    n_pictures: int,
    seed: int | tuple[int, ...],
    preferred: Bool[np.ndarray, " images"] | None = None,
) -> tuple[tuple[int, ...], ...]:
    """Choose images from every range by lot, at most ``n_pictures`` each; images below the first range count to it.

    Those ``preferred`` come first; others fill up what these leave empty.

    Returns
    -------
    tuple[tuple[int, ...], ...]
        For every range, highest first, rows in the order of falling activation, of equal ones the earlier first.
    """
    lots = np.random.default_rng(seed).permutation(len(activations))
    if preferred is not None:
        lots = np.concatenate([lots[preferred[lots]], lots[~preferred[lots]]])
    places = np.maximum(ranges.places(activations), 0)[lots]
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(ranges.n_ranges + 1))
    chosen: list[tuple[int, ...]] = []
    for place in reversed(range(ranges.n_ranges)):
        start, stop = int(starts[place]), int(starts[place + 1])
        rows = np.sort(lots[order[start : min(stop, start + n_pictures)]])
        falling = rows[np.argsort(-activations[rows], kind="stable")]
        chosen.append(tuple(int(row) for row in falling))
    return tuple(chosen)
