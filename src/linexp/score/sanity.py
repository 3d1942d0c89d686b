"""Does a metric notice when an explanation gets worse? The two sanity checks every metric should pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_at_least, check_same_images
from linexp.matrix import ActivationMatrix
from linexp.score.base import Scorer

# Shares of passing neurons from which on the reference calls a check passed.
_ENOUGH = 0.9


@dataclass(frozen=True)
class SanityCheck:
    """What became of a metric when labels went missing, and when wrong ones were added.

    Parameters
    ----------
    metric
        What was checked.
    missing, extra
        Share of the neurons, from 0 to 1, whose score fell when half of the labels were taken away, and when as many
        wrong ones were added.
    missing_change, extra_change
        Mean change of the score, as a share of its range; falls are negative.
    n_scored
        Neurons (and repeats of them) that had all three scores, and some labels each time.
    """

    metric: str
    missing: float
    extra: float
    missing_change: float
    extra_change: float
    n_scored: int

    @property
    def passes(self) -> bool:
        """Whether both shares are at least 0.9."""
        return min(self.missing, self.extra) >= _ENOUGH

    def __str__(self) -> str:
        verdict = "passes" if self.passes else "fails"
        return f"{self.metric} {verdict}: missing labels {self.missing:.1%}, extra labels {self.extra:.1%}"


def check_metric(
    scorer: Scorer,
    recorded: ActivationMatrix,
    labels: Any,
    *,
    n_repeats: int = 1,
    least_drop: float = 0.001,
    seed: int = 0,
) -> SanityCheck:
    """Check whether a metric notices missing and extra labels.

    Each neuron is scored against the images that have its concept; against a random half of them; and against all of
    them and as many that do not have it. Both must give a lower score.

    Parameters
    ----------
    scorer
        The metric.
    recorded
        Activations of neurons whose concepts are known, or the labels themselves: neurons that are their concepts.
    labels
        Zeros and ones [images, neurons]: which images have the concept of each neuron.
    n_repeats
        How often labels are drawn; every repeat counts.
    least_drop
        A score must fall by more than this share of its range (ε in the reference): of the scorer's ``bounds``, or of
        what all scores found here span if it has none.
    seed
        Seed of what is taken away and added.

    Raises
    ------
    ValueError
        The labels are of another shape, are not zeros and ones, or a concept is in no image or in all.

    References
    ----------
    Oikarinen, Yan & Weng, Evaluating Neuron Explanations: A Unified Framework with Sanity Checks, ICML 2025.

    Examples
    --------
    >>> import linexp as le
    >>> labels = (torch.arange(200)[:, None] % torch.tensor([5, 10, 20]) == 0).int()
    >>> print(check_metric(le.CorrelationScorer(), le.ActivationMatrix(labels), labels))
    correlation passes: missing labels 100.0%, extra labels 100.0%
    """
    check_at_least("n_repeats", n_repeats, 1)
    given = _as_labels(labels, recorded)
    whole, metric = _score(scorer, recorded, given)
    rng = np.random.default_rng(seed)
    missing: list[Tensor] = []
    extra: list[Tensor] = []
    for _ in range(n_repeats):
        fewer, more = _disturb(given, rng)
        missing.append(_score(scorer, recorded, fewer)[0])
        extra.append(_score(scorer, recorded, more)[0])
    scores = torch.stack([whole.repeat(n_repeats), torch.cat(missing), torch.cat(extra)])
    scores = scores[:, ~scores.isnan().any(0)]
    if not scores.shape[1]:
        raise ValueError(f"No neuron has a {metric} with, without and with extra labels. Use more images.")
    low, high = getattr(scorer, "bounds", (float(scores.min()), float(scores.max())))
    changes = (scores[1:] - scores[0]) / max(high - low, torch.finfo(torch.float64).tiny)
    fell = (changes < -least_drop).to(torch.float64).mean(1).tolist()
    return SanityCheck(metric, *fell, *changes.mean(1).tolist(), n_scored=scores.shape[1])


def _score(scorer: Scorer, recorded: ActivationMatrix, labels: Tensor) -> tuple[Float[Tensor, " neurons"], str]:
    simulated = ActivationMatrix(labels, recorded.neurons, recorded.layer, recorded.images)
    scores = scorer.score(simulated, recorded, range(recorded.n_images))
    values = scores.values.to(torch.float64)
    if scores.silent is not None:  # where no label is left it is not the metric that notices
        values = values.masked_fill(scores.silent, torch.nan)
    return values, scores.metric


def _disturb(
    labels: Float[Tensor, "images neurons"], rng: np.random.Generator
) -> tuple[Float[Tensor, "images neurons"], Float[Tensor, "images neurons"]]:
    """Return labels of which each was kept with probability 1/2, and labels to which as many were added on average."""
    shape = tuple(labels.shape)
    kept = torch.from_numpy(rng.random(shape, dtype=np.float32) < 0.5)
    n_with = labels.sum(0)
    share = (n_with / (len(labels) - n_with)).numpy()
    added = torch.from_numpy(rng.random(shape, dtype=np.float32) < share)
    return labels * kept, torch.maximum(labels, added.to(labels.dtype))


def _as_labels(labels: Any, recorded: ActivationMatrix) -> Float[Tensor, "images neurons"]:
    given = torch.as_tensor(labels).to(torch.float32)
    if given.ndim != 2 or given.shape[1] != recorded.n_neurons:
        raise ValueError(
            f"The labels have the shape {tuple(given.shape)} for {recorded.n_images} images and {recorded.n_neurons} "
            "neurons. Give a row for each image and a column for each neuron."
        )
    check_same_images(None, None, recorded.n_images, len(given))
    other = ~((given == 0) | (given == 1))
    if bool(other.any()):
        raise ValueError(f"One of the labels is {float(given[other][0]):g}. Labels are 0 or 1.")
    useless = (given == given[0]).all(0)
    if bool(useless.any()):
        neuron = recorded.neurons[int(torch.nonzero(useless)[0])]
        raise ValueError(f"The concept of neuron {neuron} is in no image or in all of them. Leave the neuron out.")
    return given
