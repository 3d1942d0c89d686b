"""What a scorer is, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.files import csv_text
from linexp._internal.numbers import exact
from linexp.figures import draw_histogram, draw_scatter
from linexp.matrix import ActivationMatrix

Column: TypeAlias = tuple[str, Sequence[object]]
"""The name of a column of a file, and a cell for each neuron."""


@dataclass(frozen=True)
class Origin:
    """Where scores are from, so that none is taken for another; empty where it is not known.

    Parameters
    ----------
    method
        What explained the neurons.
    simulator
        What judged which concepts are in an image.
    images
        Fingerprint of the images.
    part
        Part of their split that was scored on: "test", unless someone insisted.
    n_seen
        On how many of the images scored on the explanations were fitted or chosen: 0, unless someone insisted.
        ``None``: not known.
    """

    method: str = ""
    simulator: str = ""
    images: str = ""
    part: str = ""
    n_seen: int | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """One score per neuron.

    Parameters
    ----------
    values
        Scores [neurons]. NaN means exactly one thing: the score is undefined for this neuron (its recorded activation
        does not vary over the images scored on, so there is nothing to predict).
    neurons
        Identifiers of the neurons.
    metric
        What was measured, such as "correlation".
    n_images
        On how many images.
    errors
        Standard error of each score over images [neurons], by leaving out parts of them; NaN where the score is
        undefined or the neuron is silent, of which nothing is estimated. ``None``: not known.
    origin
        Method, simulator, images and part of the split; ``None``: not known.
    silent
        Of which neurons the explanation says nothing on these images though there is something to predict: its
        simulated activation does not vary, the recorded one does [neurons]. Their value is what the metric gives to a
        guess that tells no image from another: 0; chance for AUPRC (the share of active images) and AUROC (0.5); in
        ablation what a constant does.
        ``None``: not known.
    rows_are
        What text calls that which was scored on: "images", or "regions" of them.
    """

    values: Float[Tensor, " neurons"]
    neurons: tuple[int, ...]
    metric: str
    n_images: int
    errors: Float[Tensor, " neurons"] | None = None
    origin: Origin | None = None
    silent: Bool[Tensor, " neurons"] | None = None
    rows_are: str = field(default="images", kw_only=True)

    @property
    def defined(self) -> Float[Tensor, " defined"]:
        """The scores that are defined."""
        return self.values[~torch.isnan(self.values)]

    @property
    def n_undefined(self) -> int:
        """How many neurons have no score; they enter neither mean nor standard error."""
        return int(torch.isnan(self.values).sum())

    @property
    def n_silent(self) -> int:
        """How many neurons the explanations say nothing of; they count in mean and standard error. 0 if unknown."""
        return 0 if self.silent is None else int(self.silent.sum())

    @property
    def mean(self) -> float:
        """Mean over all neurons with a defined score, silent ones included; NaN if there is none."""
        return mean_of(self.defined)

    @property
    def sem(self) -> float:
        """Standard error of the mean over neurons, with divisor n - 1; NaN below two defined scores."""
        return sem_of(self.defined)

    @property
    def mean_explained(self) -> float:
        """Mean over the neurons that are not silent; NaN if there is none, or if it is not known which are.

        Higher than ``mean`` where a method is silent, so not for comparing methods.
        """
        return mean_of(self._explained)

    @property
    def sem_explained(self) -> float:
        """Standard error of ``mean_explained`` over neurons, with divisor n - 1; NaN below two of them."""
        return sem_of(self._explained)

    @property
    def _explained(self) -> Float[Tensor, " explained"]:
        return self.values[:0] if self.silent is None else self.values[~(self.silent | torch.isnan(self.values))]

    def of(self, neuron: int) -> float:
        """Return the score of one neuron; NaN if it is undefined.

        Raises
        ------
        KeyError
            The neuron was not scored.
        """
        if neuron not in self.neurons:
            raise KeyError(f"Neuron {neuron} is not among the {len(self.neurons)} scored ones.")
        return float(self.values[self.neurons.index(neuron)])

    def __str__(self) -> str:
        scored, beside = len(self.neurons) - self.n_undefined, ""
        undefined = f", {self.n_undefined} undefined" if self.n_undefined else ""
        if self.silent is not None and self.n_silent:
            explained = (
                f"{self.mean_explained:.4f} ± {self.sem_explained:.4f} over the {len(self._explained)} explained"
            )
            beside = f"; {self.n_silent} silent count as {mean_of(self.values[self.silent]):.4g}, {explained}"
        counts = f"{scored} neurons{undefined}, {self.n_images} {self.rows_are}{beside}"
        return f"{self.metric} {self.mean:.4f} ± {self.sem:.4f} ({counts})"

    def only(self, neurons: Sequence[int]) -> Scores:
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
        errors, silent = (None if side is None else side[rows] for side in (self.errors, self.silent))
        return replace(self, values=self.values[rows], neurons=tuple(neurons), errors=errors, silent=silent)

    def plot(self, against: Scores | None = None, *, axes: Any = None) -> Any:
        """Draw how the scores are distributed over neurons, or each against another score of the same neuron.

        Parameters
        ----------
        against
            Scores to draw these against (Figure 5 of the paper: ablation against correlation); neurons that have both
            are drawn. Default: a histogram of these alone.
        axes
            matplotlib axes to draw into. Default: new ones.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn into.

        Raises
        ------
        ValueError
            No neuron has both scores.
        """
        if against is None:
            return draw_histogram(self.values.double().numpy(), self.metric, axes)
        other = dict(zip(against.neurons, against.values.tolist(), strict=True))
        pairs = [
            (other[neuron], value)
            for neuron, value in zip(self.neurons, self.values.tolist(), strict=True)
            if neuron in other and not math.isnan(other[neuron] + value)
        ]
        if not pairs:
            raise ValueError("No neuron has both scores. Give scores of the same neurons of one layer.")
        across, up = np.array(pairs).T
        return draw_scatter(across, up, (against.metric, self.metric), axes)

    def to_csv(self, path: str | Path) -> None:
        """Write ``neuron``, the metric's name and its standard error; what is undefined or unknown is left empty.

        Where it is known which neurons are silent, ``silent`` is 1 for these and 0 for others; where the origin is
        known, every line also says it: ``method, simulator, images, part, n_seen, n_images``. Then comes what else
        there is of each neuron.
        """
        errors = self.errors if self.errors is not None else torch.full_like(self.values, math.nan)
        pairs = ((self.metric, self.values), (f"{self.metric}_error", errors))
        columns: list[Column] = [("neuron", self.neurons)]
        columns += [(name, [exact(number) for number in numbers.tolist()]) for name, numbers in pairs]
        if self.silent is not None:
            columns.append(("silent", [int(one) for one in self.silent.tolist()]))
        if self.origin is not None:
            named = {**asdict(self.origin), "n_images": self.n_images}
            columns += [(name, [value] * len(self.neurons)) for name, value in named.items()]
        names, cells = zip(*columns, *self.more_columns(), strict=True)
        Path(path).write_bytes(csv_text([names, *zip(*cells, strict=True)]).encode(errors="surrogateescape"))

    def more_columns(self) -> list[Column]:
        """Return what stands in a file of scores behind what all scores have."""
        return []


def mean_of(values: Float[Tensor, " values"]) -> float:
    """Return the mean of numbers; NaN if there is none."""
    return float(values.mean()) if len(values) else math.nan


def sem_of(values: Float[Tensor, " values"]) -> float:
    """Return the standard error of their mean, with divisor n - 1; NaN below two of them."""
    return float(values.std(correction=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


class Scorer(Protocol):
    """Settings of one score; ``score`` computes it."""

    def score(self, simulated: ActivationMatrix, recorded: ActivationMatrix, rows: Sequence[int]) -> Scores:
        """Score every simulated neuron against its recorded activations on some images."""
        ...
