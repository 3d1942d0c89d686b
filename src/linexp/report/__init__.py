"""What a person looks at: figures and pages made from explanations, activations and scores."""

from __future__ import annotations

from linexp.report.reliability import draw_reliability
from linexp.report.sheet import best_neurons, draw_picture_sheet

__all__ = ["best_neurons", "draw_picture_sheet", "draw_reliability"]
