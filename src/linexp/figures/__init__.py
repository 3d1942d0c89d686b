"""Figures of one neuron or of a layer's scores, from plain numbers and names: no explanation is known here."""

from linexp.figures.area import OTHER, Area, Shares, share_ranges
from linexp.figures.colours import INK, MUTED, OKABE_ITO, RULE
from linexp.figures.curves import draw_shares
from linexp.figures.draw import draw_area, draw_histogram, draw_scatter
from linexp.figures.markup import Bar, bars_html, table_html
from linexp.figures.pictures import draw_pictures, square
from linexp.figures.ranges import N_RANGES, Ranges, choose_pictures, even_ranges

__all__ = [
    "INK",
    "MUTED",
    "N_RANGES",
    "OKABE_ITO",
    "OTHER",
    "RULE",
    "Area",
    "Bar",
    "Ranges",
    "Shares",
    "bars_html",
    "choose_pictures",
    "draw_area",
    "draw_histogram",
    "draw_pictures",
    "draw_scatter",
    "draw_shares",
    "even_ranges",
    "share_ranges",
    "square",
    "table_html",
]
