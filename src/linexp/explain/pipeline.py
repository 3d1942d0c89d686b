"""From rows to a solution with its errors: which moments are taken, and in how many shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.solve import (
    Jackknife,
    Moments,
    Shortlist,
    ShortlistMoments,
    Solution,
    accumulate_moments,
    accumulate_shortlist,
    jackknife,
    refit_among,
)

Array = NDArray[np.float64]

BLOCK_ROWS = 2048
# Moments of all concepts with each other are kept for every shard, if all of them take no more than so many bytes.
MOST_FOR_SHARDS = 2**31


@dataclass(frozen=True)
class Rows:
    """The living neurons and the usable concepts of the same images, what these are for, and where to compute."""

    activations: ActivationMatrix
    concepts: ConceptMatrix
    living: Bool[Tensor, " neurons"]
    train: Tensor
    val: Tensor
    device: torch.device

    def blocks(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield concepts and activations of some rows, on the device."""
        pairs = zip(blocks(self.concepts, rows), blocks(self.activations, rows), strict=True)
        return ((present.to(self.device), active[:, self.living].to(self.device)) for present, active in pairs)

    def shards(self, n_shards: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows of train and val of each shard; with a stride, so that rows sorted by class spread evenly."""
        for start in range(n_shards):
            yield self.train[start::n_shards], self.val[start::n_shards]


@dataclass(frozen=True, eq=False)
class Units:
    """Means and standard deviations of concepts and neurons over the training rows."""

    concept_mean: Array
    concept_scale: Array
    neuron_mean: Array
    neuron_scale: Array

    @staticmethod
    def of(train: Moments) -> Units:
        """Take them from moments."""
        concept_scale, neuron_scale = train.concept_variance.sqrt(), train.neuron_variance.sqrt()
        columns = (train.concept_mean, concept_scale, train.neuron_mean, neuron_scale)
        return Units(*(column.numpy() for column in columns))

    def standardise(self, moments: Moments) -> Moments:
        """Return moments in these units."""
        return moments.standardise(torch.from_numpy(self.concept_scale), torch.from_numpy(self.neuron_scale))


@dataclass(frozen=True)
class Method:
    """A search in its three guises.

    Parameters
    ----------
    guide
        From moments to the weights [concepts, neurons] that rank the concepts; ``None`` if the search needs none.
    among_all
        From moments of train and val, and the guide, to a solution.
    among_few
        The same from moments of shortlists, which hold the guide's order; ``None`` if the search needs all concepts.
    """

    guide: Callable[[Moments], Array] | None
    among_all: Callable[..., Solution]
    among_few: Callable[[ShortlistMoments, ShortlistMoments], Solution] | None


def bytes_for_shards(n_concepts: int, n_shards: int) -> int:
    """Return the memory that moments of all concepts in shards take: train and val, twice while they are merged."""
    return 4 * max(n_shards, 1) * n_concepts**2 * 8


def solve(rows: Rows, method: Method, n_shards: int) -> tuple[Solution, Units, Jackknife | None]:
    """Return what was found in standardised columns, their units, and the errors."""
    n_shards = max(min(n_shards, len(rows.train), len(rows.val)), 1)
    if bytes_for_shards(rows.concepts.n_concepts, n_shards) <= MOST_FOR_SHARDS:
        return _solve_with_all(rows, method, n_shards)
    return _solve_with_few(rows, method, n_shards)


def _solve_with_all(rows: Rows, method: Method, n_shards: int) -> tuple[Solution, Units, Jackknife | None]:
    """Keep the moments of all concepts for every shard."""
    parts = [[accumulate_moments(rows.blocks(part)) for part in pair] for pair in rows.shards(n_shards)]
    units = Units.of(reduce(Moments.merge, [pair[0] for pair in parts]))
    train, val = ([units.standardise(pair[side]) for pair in parts] for side in (0, 1))
    together = [reduce(Moments.merge, side) for side in (train, val)]
    search = method.among_all
    if method.guide is not None:
        search = partial(search, guide=method.guide(together[0]))
    solution = search(*together)
    return solution, units, jackknife(train, val, solution, search) if n_shards > 1 else None


def _solve_with_few(rows: Rows, method: Method, n_shards: int) -> tuple[Solution, Units, Jackknife | None]:
    """Take the moments of all concepts once, and for the shards those that a shortlist or the terms found ask for."""
    train = accumulate_moments(rows.blocks(rows.train))
    units = Units.of(train)
    train = units.standardise(train)
    guide = None if method.guide is None else method.guide(train)
    shortlist = None if guide is None else Shortlist.of_weights(guide)
    if shortlist is not None and method.among_few is not None and shortlist.squares[-1] <= train.gram.numel():
        shards = _measure_few(rows, shortlist, n_shards, units)
        solution = method.among_few(*(reduce(ShortlistMoments.merge, side) for side in shards))
        return solution, units, jackknife(*shards, solution, method.among_few) if n_shards > 1 else None
    val = units.standardise(accumulate_moments(rows.blocks(rows.val)))
    solution = method.among_all(train, val, **({} if guide is None else {"guide": guide}))
    shards = _measure_few(rows, Shortlist.of_terms(solution), n_shards, units)
    together = [reduce(ShortlistMoments.merge, side) for side in shards]
    solution = refit_among(together[0], together[1], solution.concepts)
    return solution, units, jackknife(*shards, solution, None) if n_shards > 1 else None


def _measure_few(
    rows: Rows, shortlist: Shortlist, n_shards: int, units: Units
) -> tuple[list[ShortlistMoments], list[ShortlistMoments]]:
    """Return the moments of each shard of train and of val, as far as the shortlist asks for them."""
    shards = list(rows.shards(n_shards))
    scales = units.concept_scale, units.neuron_scale
    train, val = (
        [accumulate_shortlist(rows.blocks(pair[side]), shortlist).standardise(*scales) for pair in shards]
        for side in (0, 1)
    )
    return train, val


def blocks(matrix: ActivationMatrix | ConceptMatrix, rows: Tensor) -> Iterator[Tensor]:
    """Yield blocks of some rows of a matrix."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield matrix.block(rows[start : start + BLOCK_ROWS])
