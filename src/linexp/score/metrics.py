"""The scores of simulated against recorded activations, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from linexp._internal.checks import check_choice
from linexp.score.auprc import AUPRCScorer
from linexp.score.auroc import AUROCScorer
from linexp.score.base import Scorer
from linexp.score.correlation import CorrelationScorer
from linexp.score.cosine import CosineScorer
from linexp.score.f1 import F1Scorer
from linexp.score.iou import IoUScorer
from linexp.score.spearman import SpearmanScorer
from linexp.score.threshold import TOP_SHARE

METRICS: Mapping[str, Callable[[float], Scorer]] = {
    "correlation": lambda _: CorrelationScorer(),
    "cosine": lambda _: CosineScorer(),
    "auprc": AUPRCScorer,
    "f1": F1Scorer,
    "iou": IoUScorer,
    "spearman": lambda _: SpearmanScorer(),
    "auroc": AUROCScorer,
}
"""Name → scorer, given the share of images on which a neuron is called active."""


FAILING: Mapping[str, str] = {
    "spearman": "failed both sanity checks in the reference, which broke ties at random",
    "auroc": "fails the sanity check of extra labels",
}
"""Those that failed a sanity check (``check_metric``) in the reference → what is known of it.

References
----------
Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025.
"""


def scorers_of(metrics: Sequence[str], top_share: float = TOP_SHARE) -> tuple[Scorer, ...]:
    """Return the scorers of some of ``METRICS``, each once; ``top_share`` is for those that need to know.

    Raises
    ------
    ValueError
        A name is unknown, or none is given.
    """
    if not metrics:
        raise ValueError(f"There is no metric to score by. Choose some of: {', '.join(METRICS)}.")
    for metric in metrics:
        check_choice("metric", metric, tuple(METRICS))
    return tuple(METRICS[metric](top_share) for metric in dict.fromkeys(metrics))
