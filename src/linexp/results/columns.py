"""Scores as a report takes them: one number per neuron, and whose it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from linexp.score import Scores


@dataclass(frozen=True, eq=False)
class Column:
    """One number for each neuron, with its standard error where that is known.

    Parameters
    ----------
    metric
        What was measured: "correlation", "ablation", "impact".
    judge
        Who predicted the neuron's activations; "" for the concepts that also explained.
    values
        Neuron → number; only where it is defined.
    errors
        Neuron → standard error; only where it is known.
    method
        Whose explanations were scored; "" for those of the result itself.
    silent
        Neurons of which nothing is said; they have a value that counts (``Scores.silent``).
    is_score
        Whether it says how true explanations are, not what neurons are like.
    """

    metric: str
    judge: str
    values: dict[int, float]
    errors: dict[int, float] = field(default_factory=dict[int, float])
    method: str = ""
    silent: frozenset[int] = frozenset()
    is_score: bool = True

    def only(self, neurons: Sequence[int]) -> Column:
        """Return the numbers of some neurons, where they are known."""
        values, errors = ({n: side[n] for n in neurons if n in side} for side in (self.values, self.errors))
        return replace(self, values=values, errors=errors, silent=self.silent.intersection(neurons))

    @property
    def heading(self) -> str:
        """What a table calls it whose lines say whose it is."""
        metric = self.metric.replace("_", " ")
        return f"{metric}, judged by {self.judge}" if self.judge else metric

    @property
    def title(self) -> str:
        """What a page calls it."""
        return f"{self.heading}, of {self.method}" if self.method else self.heading

    @property
    def mean(self) -> float:
        """Mean over neurons, silent ones included; NaN if there is none."""
        return _mean(self.values.values())

    @property
    def mean_explained(self) -> float:
        """Mean over the neurons that are not silent; NaN if there is none."""
        return _mean([value for neuron, value in self.values.items() if neuron not in self.silent])

    @property
    def sem(self) -> float:
        """Standard error of the mean over neurons, with divisor n - 1; NaN below two neurons."""
        if len(self.values) < 2:
            return math.nan
        squares = math.fsum((value - self.mean) ** 2 for value in self.values.values())
        return math.sqrt(squares / (len(self.values) - 1) / len(self.values))


def column_of(scores: Scores, judge: str = "") -> Column:
    """Return scores as a column."""
    errors = scores.errors.tolist() if scores.errors is not None else [math.nan] * len(scores.neurons)
    says_nothing = scores.silent.tolist() if scores.silent is not None else []
    silent = frozenset(neuron for neuron, nothing in zip(scores.neurons, says_nothing, strict=False) if nothing)
    values, known = (_known(scores.neurons, side) for side in (scores.values.tolist(), errors))
    return Column(scores.metric, judge, values, known, silent=silent)


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _known(neurons: Sequence[int], values: Sequence[float]) -> dict[int, float]:
    return {neuron: value for neuron, value in zip(neurons, values, strict=True) if not math.isnan(value)}
