"""What methods that know present and absent only share: settings, and the concepts as zeros and ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from linexp._internal.checks import check_within
from linexp.explainers.labels import Labels, read_labels
from linexp.explainers.matrices import Matrices, check_shared
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split


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
        object.__setattr__(found, "labels", read_labels(concepts, found.usable, settings.present_from))
        return found


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
