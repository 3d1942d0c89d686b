"""Scorers: how true explanations are, from simulated and recorded activations; one score a file."""

from linexp.score.base import Scorer, Scores
from linexp.score.correlation import CorrelationScorer

__all__ = ["CorrelationScorer", "Scorer", "Scores"]
