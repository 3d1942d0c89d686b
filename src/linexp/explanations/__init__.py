"""What an explanation says, how it is read and written, and what it predicts."""

from linexp._internal.numbers import format_number
from linexp.explanations.columns import Columns, first_unknown
from linexp.explanations.dropped import DroppedConcept, read_dropped, tell_dropped, write_dropped
from linexp.explanations.explanation import Explanation, Term, line_of
from linexp.explanations.fitted_on import FittedOn
from linexp.explanations.formula import Concept, Formula, names_in
from linexp.explanations.layer import Explanations
from linexp.explanations.plain import NEURON_COLUMNS, TEXT_COLUMNS, is_headless, plain_columns, read_json
from linexp.explanations.quality import Measure, Quality, qualities_of, rank, show_selected
from linexp.explanations.simulate import simulate

__all__ = [
    "NEURON_COLUMNS",
    "TEXT_COLUMNS",
    "Columns",
    "Concept",
    "DroppedConcept",
    "Explanation",
    "Explanations",
    "FittedOn",
    "Formula",
    "Measure",
    "Quality",
    "Term",
    "first_unknown",
    "format_number",
    "is_headless",
    "line_of",
    "names_in",
    "plain_columns",
    "qualities_of",
    "rank",
    "read_dropped",
    "read_json",
    "show_selected",
    "simulate",
    "tell_dropped",
    "write_dropped",
]
