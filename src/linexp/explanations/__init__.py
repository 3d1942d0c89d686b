"""What an explanation says, how it is read and written, and what it predicts."""

from linexp._internal.numbers import format_number
from linexp.explanations.columns import Columns, first_unknown
from linexp.explanations.dropped import DroppedConcept, read_dropped, tell_dropped, write_dropped
from linexp.explanations.explanation import Explanation, Term, line_of
from linexp.explanations.fitted_on import FittedOn
from linexp.explanations.formula import Concept, Formula, names_in
from linexp.explanations.layer import Explanations
from linexp.explanations.link import Link
from linexp.explanations.maps import mask_of, plot_map
from linexp.explanations.planted import Planted, make_planted
from linexp.explanations.quality import Measure, Quality, qualities_of, rank, show_selected
from linexp.explanations.simulate import simulate

__all__ = [
    "Columns",
    "Concept",
    "DroppedConcept",
    "Explanation",
    "Explanations",
    "FittedOn",
    "Formula",
    "Link",
    "Measure",
    "Planted",
    "Quality",
    "Term",
    "first_unknown",
    "format_number",
    "line_of",
    "make_planted",
    "mask_of",
    "names_in",
    "plot_map",
    "qualities_of",
    "rank",
    "read_dropped",
    "show_selected",
    "simulate",
    "tell_dropped",
    "write_dropped",
]
