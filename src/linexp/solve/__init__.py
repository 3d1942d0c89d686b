"""Matrices only: moments, the elastic net on them, and the searches for few terms. Knows no image and no word."""

from linexp.solve.columns import ColumnRange as ColumnRange
from linexp.solve.columns import measure_columns as measure_columns
from linexp.solve.elastic_net import solve_elastic_net as solve_elastic_net
from linexp.solve.elastic_net_batched import solve_elastic_net_batched as solve_elastic_net_batched
from linexp.solve.greedy import search_greedy as search_greedy
from linexp.solve.greedy import search_greedy_nonzero as search_greedy_nonzero
from linexp.solve.jackknife import Jackknife as Jackknife
from linexp.solve.jackknife import jackknife as jackknife
from linexp.solve.least_squares import Solution as Solution
from linexp.solve.least_squares import noise_of as noise_of
from linexp.solve.moments import Moments as Moments
from linexp.solve.moments import accumulate_moments as accumulate_moments
from linexp.solve.ridge import fit_ridge as fit_ridge
from linexp.solve.shortlist import Shortlist as Shortlist
from linexp.solve.shortlist import ShortlistMoments as ShortlistMoments
from linexp.solve.shortlist import accumulate_shortlist as accumulate_shortlist
from linexp.solve.shortlist_fit import refit_among as refit_among
from linexp.solve.stepwise import search_stepwise as search_stepwise
from linexp.solve.swaps import search_swaps as search_swaps
from linexp.solve.top import search_top as search_top
