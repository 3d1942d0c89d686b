"""Ablation scores: whether the network behaves the same with the simulation in a neuron's place."""

from linexp.ablation.score.scorer import AblationScorer
from linexp.ablation.score.scores import AblationScores

__all__ = [
    "AblationScorer",
    "AblationScores",
]
