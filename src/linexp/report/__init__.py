"""What a person looks at: figures and pages made from explanations, activations and scores."""

from __future__ import annotations

from linexp.report.columns import Column, column_of
from linexp.report.finding import Finding, read_finding
from linexp.report.impact import draw_top_impact
from linexp.report.reliability import draw_reliability
from linexp.report.score_files import read_columns
from linexp.report.sheet import best_neurons, draw_picture_sheet
from linexp.report.writing import write_report

__all__ = [
    "Column",
    "Finding",
    "best_neurons",
    "column_of",
    "draw_picture_sheet",
    "draw_reliability",
    "draw_top_impact",
    "read_columns",
    "read_finding",
    "write_report",
]
