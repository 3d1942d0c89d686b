"""What methods that compare neurons with concepts share: the problem, checked, and the way from words to weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.explainers.fit import blocks
from linexp.explainers.matrices import Matrices
from linexp.explanations import Explanations, Measure
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix
from linexp.solve import measure_columns

# Images looked at a time: a few MB of float64 for thousands of concepts.
_ROWS = 256
Said = tuple[Sequence[Sequence[str]], Sequence[Measure | None]]
"""Concepts and measure of each neuron."""


@dataclass(frozen=True, eq=False)
class Compared(Matrices):
    """A layer and the concepts that it is compared with, on the training images.

    Similarities are cosines where the concepts are embeddings, whatever their calibration, and presences otherwise.
    """

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The usable concepts."""
        return tuple(name for name, kept in zip(self.concepts.names, self.usable.columns.tolist(), strict=True) if kept)

    @cached_property
    def kept(self) -> ConceptMatrix:
        """The matrix of the usable concepts."""
        return self.concepts if len(self.names) == self.concepts.n_concepts else self.concepts.only(self.names)

    @cached_property
    def living(self) -> Bool[Tensor, " neurons"]:
        """Which neurons are not the same on all training images; the others are not explained."""
        return ~measure_columns(blocks(self.activations, self.split.train)).is_constant

    @cached_property
    def active(self) -> Float[Tensor, "rows living"]:
        """Activations of the living neurons on the training images."""
        return self.activations.block(self.split.train)[:, self.living]

    def similar(self, places: Int[Tensor, " rows"]) -> Float[Tensor, "rows concepts"]:
        """Return similarities of the usable concepts with some training images, by their places in the split."""
        return _similar(self.kept, self.split.train[places])

    def strips(self, n_concepts: int = 64) -> Iterator[Float[Tensor, "concepts rows"]]:
        """Yield similarities of a few concepts with all training images, side by side in memory."""
        for start in range(0, len(self.names), n_concepts):
            some = self.kept.only(self.names[start : start + n_concepts])
            yield _similar(some, self.split.train).to(torch.float64).T.contiguous()

    def present(self, places: Int[Tensor, " rows"]) -> Float[Tensor, "rows concepts"]:
        """Return presences of the usable concepts in some training images, by their places in the split."""
        return self.kept.block(self.split.train[places])

    def pairs(self, of: Callable[[Int[Tensor, " rows"]], Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what ``of`` makes of the training images, and their activations, block by block."""
        for places in torch.arange(len(self.split.train)).split(_ROWS):
            yield of(places), self.active[places]

    def best(self, scores: Float[Tensor, "living concepts"], measure: str) -> Said:
        """Say of each living neuron the concept with the highest score; nothing where none is finite."""
        known = scores.nan_to_num(nan=-torch.inf)
        highest, places = known.max(1)
        pairs = list(zip(highest.tolist(), places.tolist(), strict=True))
        found = [abs(value) < torch.inf for value, _ in pairs]
        said = [[self.names[place]] if is_known else [] for (_, place), is_known in zip(pairs, found, strict=True)]
        return said, [Measure(measure, value) if one else None for (value, _), one in zip(pairs, found, strict=True)]

    def explain(self, say: Callable[[], Said], n_groups: int) -> Explanations:
        """Return explanations of what is said of living neurons; of the others nothing is said."""
        said, measures = say() if bool(self.living.any()) else ([], [])
        pairs = iter(zip(said, measures, strict=True))
        everyone = [next(pairs) if alive else ([], None) for alive in self.living.tolist()]
        return self.explanations([one for one, _ in everyone], [measure for _, measure in everyone], n_groups)


def _similar(concepts: ConceptMatrix, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows concepts"]:
    return concepts.cosines(rows) if isinstance(concepts, EmbeddedConceptMatrix) else concepts.block(rows)
