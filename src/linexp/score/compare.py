"""Which of two methods is better, neuron by neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from linexp._internal.checks import DifferentImagesError, check_within
from linexp.score.base import Scores, mean_of, sem_of


@dataclass(frozen=True)
class Difference:
    """How much higher the first of two methods scores, on the neurons that both have a score for.

    Parameters
    ----------
    first, second
        The methods.
    metric
        What was measured.
    mean
        Mean over neurons of first minus second.
    sem
        Its standard error over neurons; NaN below two of them.
    low, high
        Confidence interval of the mean (Student's t over neurons, the images given); NaN below two neurons.
    n_neurons
        Neurons with both scores.
    """

    first: str
    second: str
    metric: str
    mean: float
    sem: float
    low: float
    high: float
    n_neurons: int

    def __str__(self) -> str:
        return (
            f"{self.first} − {self.second}: {self.metric} {self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}, "
            f"{self.n_neurons} neurons)"
        )


def compare_scores(first: Scores, second: Scores, *, confidence: float = 0.95) -> Difference:
    """Compare two methods on the same neurons, images and simulator.

    Pairing takes out what makes one neuron harder than another, so differences much smaller than the standard errors
    of the two means can be told.

    Parameters
    ----------
    first, second
        Scores of the same metric. Neurons that only one of them has, or has a defined score for, are left out; those of
        which one says nothing (``Scores.silent``) count with what that scores.
    confidence
        Of the interval, from 0 to 1.

    Raises
    ------
    ValueError
        The scores are of different metrics, numbers of images, simulators or parts of the split.
    DifferentImagesError
        They are of different images.
    """
    check_within("confidence", confidence, 0, 1)
    _check_comparable(first, second)
    place = {neuron: row for row, neuron in enumerate(second.neurons)}
    shared = [neuron for neuron in first.neurons if neuron in place]
    differences = first.only(shared).values - second.only(shared).values
    differences = differences[~torch.isnan(differences)].to(torch.float64)
    n, mean, sem = len(differences), mean_of(differences), sem_of(differences)
    reach = _student_quantile((1 + confidence) / 2, n - 1) * sem if n > 1 else math.nan
    names = [scores.origin.method if scores.origin else "" for scores in (first, second)]
    return Difference(names[0] or "first", names[1] or "second", first.metric, mean, sem, mean - reach, mean + reach, n)


def _check_comparable(first: Scores, second: Scores) -> None:
    if first.metric != second.metric:
        raise ValueError(f"The scores are a {first.metric} and a {second.metric}. Compare scores of one metric.")
    if first.n_images != second.n_images:
        raise ValueError(f"The scores are of {first.n_images} and of {second.n_images} images. Score on the same.")
    if first.origin is None or second.origin is None:
        return
    if first.origin.images != second.origin.images and first.origin.images and second.origin.images:
        raise DifferentImagesError("The scores are of different images. Score on the same.")
    for name in ("simulator", "part"):
        one, other = getattr(first.origin, name), getattr(second.origin, name)
        if one != other:
            raise ValueError(f"The {name} of one score is '{one}', of the other '{other}'. Score with the same.")


def _student_quantile(share: float, n_free: int) -> float:
    from scipy.stats import t  # here, because importing it takes longer than everything else in this room

    return float(t.ppf(share, n_free))
