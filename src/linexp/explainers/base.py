"""What every explainer is."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol

from linexp.explainers.usable import Usable
from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split


class Explainer(Protocol):
    """Settings of one method, a frozen dataclass; ``explain`` runs it.

    ``linexp explain --method`` reads the settings from the fields and what its docstring says of them. A field
    ``device``, if there is one, is where the method computes.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def min_activity(self) -> float:
        """Concepts whose five highest presences among the training images have a smaller mean take no part."""
        ...

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron from the training and validation images; the test images are not looked at.

        ``usable`` is what ``find_usable`` found in these concepts, for whoever explains several layers by them.
        """
        ...
