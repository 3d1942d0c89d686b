"""What ablation scoring returns."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from linexp.explanation_csv import csv_text
from linexp.score.base import Scores

_COLUMNS = ("norm", "val", "c", "d")


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationScores(Scores):
    """Ablation scores per neuron: 1 for a perfect simulation, 0 for the neuron's mean; below 0 it is worse than that.

    A value is NaN where replacing the neuron by its mean changes no loss: it is constant, or nothing reads it.
    Standard errors hold for c and d as they are.

    Parameters
    ----------
    norm
        Scores on the same images with the closed-form scaling [neurons].
    val
        Scores on the validation images, with the scaling that ``values`` are for.
    c, d
        Scale and shift of each neuron.
    temperature
        What the logits were divided by.
    linear
        Whether a linear head follows the layer, so that no part of the network had to run.
    """

    norm: Float[Tensor, " neurons"]
    val: Float[Tensor, " neurons"]
    c: Float[Tensor, " neurons"]
    d: Float[Tensor, " neurons"]
    temperature: float
    linear: bool

    @property
    def n_improved(self) -> int:
        """How many neurons score higher than with the closed-form scaling, on the images scored on."""
        return int((self.values > self.norm).sum())

    def only(self, neurons: Sequence[int]) -> AblationScores:
        """Return the scores of some neurons, in the order asked for; see ``Scores.only``."""
        chosen = super().only(neurons)
        rows = [self.neurons.index(neuron) for neuron in neurons]
        return replace(self, **vars(chosen) | {name: getattr(self, name)[rows] for name in _COLUMNS})

    def to_csv(self, path: str | Path) -> None:
        """Write neuron, score and standard error as ``Scores`` does, then the score with norm, on val, c and d."""
        super().to_csv(path)
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()))
        lines[0] += [f"{self.metric}_norm", f"{self.metric}_val", "c", "d"]
        columns = [getattr(self, name).tolist() for name in _COLUMNS]
        for line, *numbers in zip(lines[1:], *columns, strict=True):
            line += ["" if math.isnan(number) else repr(number) for number in numbers]
        Path(path).write_bytes(csv_text(lines).encode(errors="surrogateescape"))
