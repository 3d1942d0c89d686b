"""Scorers: how true explanations are, from simulated and recorded activations; one score a file."""

from linexp.score.ablation import AblationScorer
from linexp.score.ablation_scores import AblationScores
from linexp.score.base import Scorer, Scores
from linexp.score.correlation import CorrelationScorer

__all__ = ["AblationScorer", "AblationScores", "CorrelationScorer", "Scorer", "Scores"]
