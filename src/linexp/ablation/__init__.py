"""Replace a unit, see the loss: impact (Section 2 of the paper) and ablation scores (Section 4)."""

from linexp.ablation.labels import find_outputs

__all__ = [
    "find_outputs",
]
