"""What methods other than the linear one share: the matrices, checked, and from what is said to explanations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from linexp._internal.checks import check_same_images, check_whole, check_within
from linexp.explainers.usable import Usable, find_usable
from linexp.explainers.weights import fit_weights
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split


def check_shared(settings: Any) -> None:
    """Raise ``ValueError`` if a setting that these methods share is outside its range."""
    check_within("min_activity", settings.min_activity, 0, 1)
    check_whole("n_groups", settings.n_groups, 2 if settings.n_groups else 0)


@dataclass(frozen=True, eq=False)
class Matrices:
    """What is explained by what, on which images, and the concepts that take part."""

    activations: ActivationMatrix
    concepts: ConceptMatrix
    split: Split
    usable: Usable

    @classmethod
    def of(
        cls, settings: Any, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, usable: Usable | None
    ) -> Self:
        """Check the matrices, and find the usable concepts where nobody did."""
        check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
        split.check(activations.n_images)
        usable = usable or find_usable(concepts, split, settings.min_activity)
        usable.check(concepts, split, settings.min_activity)
        return cls(activations, concepts, split, usable)

    def explanations(
        self, said: Sequence[Sequence[Concept]], measures: Sequence[Measure | None], n_groups: int
    ) -> Explanations:
        """Return explanations of what is said of each neuron, with weights, bias and the method's own measure."""
        given = self.activations, self.concepts, self.split
        kept = [measure if some else None for some, measure in zip(said, measures, strict=True)]
        fitted = fit_weights(said, *given, measures=kept, n_groups=n_groups)
        return replace(fitted, dropped=self.usable.dropped)
