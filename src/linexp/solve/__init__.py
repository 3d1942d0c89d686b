"""Matrices only: moments, the elastic net on them, and the searches for few terms. Knows no image and no word."""

from linexp.solve.columns import ColumnRange, measure_columns
from linexp.solve.elastic_net import ElasticNetFit, solve_elastic_net
from linexp.solve.greedy import search_greedy
from linexp.solve.jackknife import Jackknife, jackknife
from linexp.solve.least_squares import Solution, refit
from linexp.solve.moments import Moments, accumulate_moments
from linexp.solve.stepwise import search_stepwise
from linexp.solve.swaps import search_swaps
from linexp.solve.top import search_top

__all__ = [
    "ColumnRange",
    "ElasticNetFit",
    "Jackknife",
    "Moments",
    "Solution",
    "accumulate_moments",
    "jackknife",
    "measure_columns",
    "refit",
    "search_greedy",
    "search_stepwise",
    "search_swaps",
    "search_top",
    "solve_elastic_net",
]
