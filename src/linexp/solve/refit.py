"""Least squares on given terms, with weights of any sign or of one."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Indices, share_neurons
from linexp.solve.least_squares import Sides, Solution, refit_neurons
from linexp.solve.moments import Moments
from linexp.solve.nonnegative import Sign, refit_positive


def fit_terms(train: Moments, val: Moments, wanted: Indices, sign: Sign = "any") -> Solution:
    """Fit the wanted concepts of each neuron [neurons, terms] (-1: none), in order, leaving out collinear ones.

    ``sign="positive"``: by nonnegative least squares, which leaves out what would get a weight below 0.
    """
    solution = Solution.empty(*wanted.shape)
    refit = refit_positive if sign == "positive" else refit_neurons
    share_neurons(len(wanted), refit, Sides.of(train, val), np.ascontiguousarray(wanted), *solution.parts)
    return solution
