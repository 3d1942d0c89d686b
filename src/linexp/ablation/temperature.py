"""The temperature that makes a classifier's probabilities true on average."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

_N_STEPS = 60
_SHARPEST, _FLATTEST = 1e-2, 1e2


def fit_temperature(logits: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]) -> float:
    """Return the temperature T that minimises the mean loss of softmax(logits / T), between 0.01 and 100.

    The loss is convex in 1/T; the root of its slope is found by halving intervals of log T.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, ICML.
    """
    logits = logits.double()
    of_label = logits.gather(1, labels[:, None])[:, 0]
    low, high = math.log(_SHARPEST), math.log(_FLATTEST)
    for _ in range(_N_STEPS):
        middle = (low + high) / 2
        mean_logit = (torch.softmax(logits * math.exp(-middle), 1) * logits).sum(1)
        if float((mean_logit - of_label).mean()) < 0:  # sharper is better
            high = middle
        else:
            low = middle
    return math.exp((low + high) / 2)
