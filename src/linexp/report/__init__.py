"""What a person looks at: figures and pages made from explanations, activations and scores."""

from linexp.report.impact import draw_top_impact, tell_impact
from linexp.report.reliability import draw_reliability
from linexp.report.sheet import best_neurons, draw_picture_sheet
from linexp.report.writing import write_report

__all__ = [
    "best_neurons",
    "draw_picture_sheet",
    "draw_reliability",
    "draw_top_impact",
    "tell_impact",
    "write_report",
]
