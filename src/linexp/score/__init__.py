"""Scorers: how true explanations are, from simulated and recorded activations; one score a file."""

from linexp.score.alignment import check_same_layer, is_constant
from linexp.score.auprc import AUPRCScorer
from linexp.score.auroc import AUROCScorer
from linexp.score.base import Origin, Scorer, Scores
from linexp.score.compare import Difference, compare_scores
from linexp.score.correlation import CorrelationScorer
from linexp.score.cosine import CosineScorer
from linexp.score.csv_format import published_sem, read_scores
from linexp.score.f1 import F1Scorer
from linexp.score.iou import IoUScorer
from linexp.score.metrics import FAILING, METRICS, scorers_of
from linexp.score.sanity import SanityCheck, check_metric
from linexp.score.simulability import SIMULABLE, Simulability, read_simulability, simulability
from linexp.score.spearman import SpearmanScorer
from linexp.score.threshold import TOP_SHARE
from linexp.score.unseen import check_unseen, count_seen

__all__ = [
    "FAILING",
    "METRICS",
    "SIMULABLE",
    "TOP_SHARE",
    "AUPRCScorer",
    "AUROCScorer",
    "CorrelationScorer",
    "CosineScorer",
    "Difference",
    "F1Scorer",
    "IoUScorer",
    "Origin",
    "SanityCheck",
    "Scorer",
    "Scores",
    "Simulability",
    "SpearmanScorer",
    "check_metric",
    "check_same_layer",
    "check_unseen",
    "compare_scores",
    "count_seen",
    "is_constant",
    "published_sem",
    "read_scores",
    "read_simulability",
    "scorers_of",
    "simulability",
]
