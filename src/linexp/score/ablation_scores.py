"""What ablation scoring returns."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from linexp.explanation_csv import csv_text
from linexp.score.base import Scores

_SCORES, _SCALES = ("norm", "constant", "val"), ("c", "d", "level")
_COLUMNS = (*_SCORES, *_SCALES)
_BY_CONSTANT = "a constant"


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationScores(Scores):
    """Ablation scores per neuron: 1 for a perfect simulation, 0 for the neuron's mean; below 0 it is worse than that.

    Above 0 need not mean that the simulation says anything: the mean is not the constant that does least harm, and a
    fitted shift finds a better one. ``constant`` is what that alone scores, so ``values`` − ``constant`` is what the
    simulation adds.

    A value is NaN where replacing the neuron by its mean changes no loss: it is constant, or nothing reads it.
    Standard errors hold for c and d as they are.

    Parameters
    ----------
    norm
        Scores on the same images with the closed-form scaling [neurons].
    constant
        Scores on the same images of a constant, fitted like c and d on validation images without any simulation
        [neurons]; 0 with the closed-form scaling, whose constant is the mean.
    val
        Scores on the validation images, with the scaling that ``values`` are for.
    c, d
        Scale and shift of each neuron.
    level
        The constant whose score ``constant`` is, in the neuron's own unit.
    temperature
        What the logits were divided by.
    linear
        Whether a linear head follows the layer, so that no part of the network had to run.
    accuracy
        On which share of the images scored on the model's highest logit is the label's, from 0 to 1. Where it is that
        of guessing, the labels are probably not positions in the model's output.
    """

    norm: Float[Tensor, " neurons"]
    constant: Float[Tensor, " neurons"]
    val: Float[Tensor, " neurons"]
    c: Float[Tensor, " neurons"]
    d: Float[Tensor, " neurons"]
    level: Float[Tensor, " neurons"]
    temperature: float
    linear: bool
    accuracy: float

    @property
    def n_improved(self) -> int:
        """How many neurons score higher than with the closed-form scaling, on the images scored on."""
        return int((self.values > self.norm).sum())

    @property
    def by_norm(self) -> Scores:
        """The scores with the closed-form scaling, as scores of their own; without standard errors over images."""
        metric = re.sub(r"\([\w-]+", "(norm", self.metric, count=1)
        return Scores(self.norm, self.neurons, metric, self.n_images, None, self.origin, self.silent)

    @property
    def by_constant(self) -> Scores:
        """The scores of the constant alone, to be compared with these (``compare_scores``) or shown beside them."""
        origin = None if self.origin is None else replace(self.origin, method=_BY_CONSTANT, n_seen=0)
        return Scores(self.constant, self.neurons, self.metric, self.n_images, None, origin)

    def only(self, neurons: Sequence[int]) -> AblationScores:
        """Return the scores of some neurons, in the order asked for; see ``Scores.only``."""
        chosen = super().only(neurons)
        rows = [self.neurons.index(neuron) for neuron in neurons]
        return replace(self, **vars(chosen) | {name: getattr(self, name)[rows] for name in _COLUMNS})

    def to_csv(self, path: str | Path) -> None:
        """Write what ``Scores`` does, then the score with norm, that of the constant, that on val, c, d and level."""
        super().to_csv(path)
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()))
        lines[0] += [f"{self.metric}_{name}" for name in _SCORES] + list(_SCALES)
        columns = [getattr(self, name).tolist() for name in _COLUMNS]
        for line, *numbers in zip(lines[1:], *columns, strict=True):
            line += ["" if math.isnan(number) else repr(number) for number in numbers]
        Path(path).write_bytes(csv_text(lines).encode(errors="surrogateescape"))
