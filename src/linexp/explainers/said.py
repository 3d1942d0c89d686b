"""What methods that know present and absent only share: settings, and the concepts as zeros and ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexp._internal.checks import check_within
from linexp.explainers.labels import Labels, read_labels
from linexp.explainers.matrices import Matrices, check_shared
from linexp.explainers.rows import Pixels, has_pixels, strips_of
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Words, ranges_above


def check_labels(settings: Any) -> None:
    """Raise ``ValueError`` if a setting that these methods share is outside its range."""
    check_shared(settings)
    check_within("present_from", settings.present_from, 1e-12, 1)


@dataclass(frozen=True, eq=False)
class Problem(Matrices):
    """What is explained by what, and the concepts as zeros and ones."""

    labels: Labels = field(init=False)

    @classmethod
    def of(
        cls, settings: Any, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, usable: Usable | None
    ) -> Problem:
        """Check the matrices, find the usable concepts where nobody did, and read them."""
        found = super().of(settings, activations, concepts, split, usable)
        if has_pixels(activations, concepts):
            kept = zip(concepts.names, found.usable.columns.tolist(), strict=True)
            labels = Pixels.of(activations, concepts, split.train).labels([name for name, one in kept if one])
        else:
            labels = read_labels(concepts, found.usable, settings.present_from)
        object.__setattr__(found, "labels", labels)
        return found

    def strips(self, ranges: NDArray[np.float64], *, strict: bool) -> Iterator[Words]:
        """Yield the training rows in which each neuron lies in its ranges, as ``strips_of`` does."""
        return strips_of(self.activations, self.concepts, self.split.train, ranges, strict=strict)

    def above(self, cuts: NDArray[np.float64]) -> Iterator[Words]:
        """Yield the training rows in which each neuron is above its cut, packed [neurons, words]."""
        return (words[:, 0] for words in self.strips(ranges_above(cuts), strict=True))


def said_of(explanations: Explanations, activations: ActivationMatrix) -> tuple[list[Concept | None], ActivationMatrix]:
    """Return the concept of each explanation, ``None`` where there is none, and the activations of their neurons.

    Raises
    ------
    ValueError
        They are of another layer, or of neurons that were not recorded.
    """
    if explanations.layer and activations.layer and explanations.layer != activations.layer:
        raise ValueError(
            f"The explanations are of layer '{explanations.layer}', the activations of layer '{activations.layer}'. "
            "Measure explanations on the layer that they explain."
        )
    said = [item.concepts[0] if item.terms else None for item in explanations]
    return said, activations.select(explanations.neurons)
