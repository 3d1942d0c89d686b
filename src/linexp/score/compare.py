"""Which of two methods is better, neuron by neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch

from linexp._internal.checks import DifferentImagesError, check_within
from linexp.score.base import Scores

# From here on the t distribution is as good as the normal one: its quantile is 0.1 % larger.
_MANY = 1000


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
    n = len(differences)
    mean = float(differences.mean()) if n else math.nan
    sem = float(differences.std(correction=1)) / math.sqrt(n) if n > 1 else math.nan
    reach = student_quantile((1 + confidence) / 2, n - 1) * sem if n > 1 else math.nan
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


def student_quantile(share: float, n_free: int) -> float:
    """Return the quantile of Student's t distribution, for shares from 0.5 to below 1.

    Parameters
    ----------
    share
        How much of the distribution lies below.
    n_free
        Degrees of freedom, at least 1.

    References
    ----------
    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    if n_free > _MANY:
        return NormalDist().inv_cdf(share)
    low, high = 0.0, 1.0
    while _student_below(high, n_free) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_below(middle, n_free) < share else (low, middle)
    return (low + high) / 2


def _student_below(value: float, n_free: int) -> float:
    """Return how much of Student's t distribution lies below a value from 0 on: a finite sum."""
    angle = math.atan(value / math.sqrt(n_free))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = n_free % 2
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    for step in range(1 + is_odd, n_free, 2):
        total += term
        term *= cosine * cosine * step / (step + 1)
    within = (2 / math.pi) * (angle + sine * total) if is_odd else sine * total
    return 0.5 + within / 2
