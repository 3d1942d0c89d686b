"""The paper's variant without a search: the largest elastic-net weights, refitted (Appendix B.4)."""

from __future__ import annotations

import numpy as np

from linexp._internal.compiled import Array
from linexp.solve.least_squares import Solution
from linexp.solve.moments import Moments
from linexp.solve.nonnegative import Sign
from linexp.solve.refit import fit_terms


def search_top(train: Moments, val: Moments, guide: Array, *, max_terms: int = 10, sign: Sign = "any") -> Solution:
    """Explain each neuron with the concepts of largest (signed, non-zero) guide weight, refitted by least squares.

    A neuron with fewer non-zero guide weights than ``max_terms`` gets as many as it has. The guide [concepts, neurons]
    is the elastic net's. ``sign="positive"``: only those of guide weight above 0, by nonnegative least squares.

    References
    ----------
    Paper, Appendix B.4 and Table 8 ("no greedy search").
    """
    guide = np.maximum(guide, 0) if sign == "positive" else guide
    signed = np.where(guide != 0, guide, -np.inf)
    ranked = np.argsort(-signed, axis=0, kind="stable")[: min(max_terms, len(guide))]
    wanted = np.where(np.take_along_axis(guide, ranked, 0) != 0, ranked, -1)
    return fit_terms(train, val, wanted.T, sign)
