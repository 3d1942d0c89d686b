"""Matrices only: moments, the elastic net on them, and the searches for few terms. Knows no image and no word."""

from linexp.solve.columns import ColumnRange, measure_columns
from linexp.solve.elastic_net import ElasticNetFit, solve_elastic_net
from linexp.solve.elastic_net_batched import solve_elastic_net_batched
from linexp.solve.greedy import search_greedy, search_greedy_nonzero
from linexp.solve.jackknife import Jackknife, jackknife
from linexp.solve.least_squares import Solution, noise_of, refit
from linexp.solve.moments import Moments, accumulate_moments
from linexp.solve.shortlist import Shortlist, ShortlistMoments, accumulate_shortlist
from linexp.solve.shortlist_fit import refit_among
from linexp.solve.stepwise import search_stepwise
from linexp.solve.swaps import search_swaps
from linexp.solve.top import search_top

__all__ = [
    "ColumnRange",
    "ElasticNetFit",
    "Jackknife",
    "Moments",
    "Shortlist",
    "ShortlistMoments",
    "Solution",
    "accumulate_moments",
    "accumulate_shortlist",
    "jackknife",
    "measure_columns",
    "noise_of",
    "refit",
    "refit_among",
    "search_greedy",
    "search_greedy_nonzero",
    "search_stepwise",
    "search_swaps",
    "search_top",
    "solve_elastic_net",
    "solve_elastic_net_batched",
]
