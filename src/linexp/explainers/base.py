"""What every explainer is."""

from __future__ import annotations

from typing import Protocol

from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split


class Explainer(Protocol):
    """Settings of one method; ``explain`` runs it."""

    def explain(self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split) -> Explanations:
        """Explain every neuron from the training and validation images; the test images are not looked at."""
        ...
