"""What ablation scoring returns."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

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
        """Return the scores of some neurons, in the order asked for.

        Raises
        ------
        KeyError
            A neuron was not scored.
        """
        place = {neuron: row for row, neuron in enumerate(self.neurons)}
        missing = [neuron for neuron in neurons if neuron not in place]
        if missing:
            raise KeyError(f"Neuron {missing[0]} is not among the {len(self.neurons)} scored ones.")
        rows = [place[neuron] for neuron in neurons]
        errors = None if self.errors is None else self.errors[rows]
        chosen = {name: getattr(self, name)[rows] for name in ("values", *_COLUMNS)}
        return replace(self, neurons=tuple(neurons), errors=errors, **chosen)

    def to_csv(self, path: str | Path) -> None:
        """Write neuron, score and standard error as ``Scores`` does, then the score with norm, on val, c and d."""
        errors = self.errors if self.errors is not None else torch.full_like(self.values, math.nan)
        columns = [self.values, errors, *(getattr(self, name) for name in _COLUMNS)]
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = ["neuron", self.metric, f"{self.metric}_error"]
            writer.writerow([*names, *(f"{self.metric}_{name}" for name in _COLUMNS[:2]), *_COLUMNS[2:]])
            for neuron, *numbers in zip(self.neurons, *(column.tolist() for column in columns), strict=True):
                writer.writerow([neuron, *("" if math.isnan(number) else repr(number) for number in numbers)])
