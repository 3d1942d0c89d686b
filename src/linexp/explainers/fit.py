"""From rows to a solution with its errors: moments, ranking, search, and which of it is done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._internal.compiled import Array
from linexp.explainers.parts import moments_of_groups, n_images_of
from linexp.explainers.wording import Settled, Wording
from linexp.explanations import Columns
from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.solve import (
    Jackknife,
    Moments,
    Shortlist,
    Solution,
    accumulate_moments,
    jackknife,
)

BLOCK_ROWS = 2048


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
        some = slice(None) if bool(self.living.all()) else self.living  # no copy where all of them live
        return ((present.to(self.device), active[:, some].to(self.device)) for present, active in pairs)


@dataclass(frozen=True, eq=False)
class Units:
    """Means and standard deviations of concepts and neurons over the training rows."""

    concept_mean: Array
    concept_scale: Array
    neuron_mean: Array
    neuron_scale: Array

    @staticmethod
    def of(train: Moments) -> Units:
        """Take them from moments; the deviation of a column that does not vary counts as 1."""
        scales = [side.sqrt() for side in (train.concept_variance, train.neuron_variance)]
        concept_scale, neuron_scale = (torch.where(scale > 0, scale, 1.0) for scale in scales)
        columns = (train.concept_mean, concept_scale, train.neuron_mean, neuron_scale)
        return Units(*(column.numpy() for column in columns))

    def standardise(self, moments: Moments) -> Moments:
        """Return moments in these units."""
        return moments.standardise(torch.from_numpy(self.concept_scale), torch.from_numpy(self.neuron_scale))


@dataclass(frozen=True)
class Method:
    """How terms are found in moments.

    Parameters
    ----------
    guide
        From moments of the training images to the weights [concepts, neurons] that rank the concepts; ``None`` if the
        search needs none.
    search
        From moments of training and validation images, and the guide (``guide=``), to a solution.
    wording
        How the terms that were found are worded; ``None``: as they are.
    """

    guide: Callable[[Moments], Array] | None
    search: Callable[..., Solution]
    wording: Wording | None = None

    def find(self, rows: Rows) -> tuple[Settled, Units]:
        """Return what is found in standardised columns, and their units."""
        train = accumulate_moments(rows.blocks(rows.train))
        units = Units.of(train)
        train = units.standardise(train)
        search = self.search if self.guide is None else partial(self.search, guide=self.guide(train))
        val = units.standardise(accumulate_moments(rows.blocks(rows.val)))
        found = search(train, val)
        return Settled(found) if self.wording is None else self.wording.settle(train, val, found, rows.concepts), units


def find_errors(rows: Rows, solution: Solution, units: Units, n_groups: int) -> Jackknife | None:
    """Return the errors of a solution from so many groups; ``None`` if there are fewer than two."""
    n_groups = min(n_groups, *(n_images_of(rows.activations, part) for part in (rows.train, rows.val)))
    if n_groups < 2:
        return None
    shortlist = Shortlist.of_terms(solution)
    train, val = (
        moments_of_groups(rows.activations, rows.blocks, part, n_groups, shortlist) for part in (rows.train, rows.val)
    )
    found = jackknife(train, val, solution)
    # Of columns as they are, because it takes long to divide the moments of every group by their deviations.
    scale = units.concept_scale[solution.concepts] / units.neuron_scale[:, None]
    return replace(found, weight_error=found.weight_error * scale)


def blocks(matrix: ActivationMatrix | ConceptMatrix | Columns, rows: Tensor) -> Iterator[Tensor]:
    """Yield blocks of some rows of a matrix."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield matrix.block(rows[start : start + BLOCK_ROWS])
