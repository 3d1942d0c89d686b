"""What all scorers of simulated against recorded activations share: alignment, blocks, what is undefined or silent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import DifferentImagesError, check_same_images
from linexp._internal.jackknife import Groups, groups
from linexp.matrix import ActivationMatrix
from linexp.score.base import Scores

Block: TypeAlias = Float[Tensor, "rows neurons"]

# Bounds the memory for copies of a block, whatever the number of images: 16 MiB each in float64.
_NUMBERS_PER_BLOCK, _NEURONS_PER_BLOCK = 1 << 21, 256


class ActivationScorer(ABC):
    """What all scorers of simulated against recorded activations share: a scorer says how it measures what varies."""

    name: ClassVar[str]
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    @property
    def metric(self) -> str:
        """What the scores are called: the name, and what tells them from others of this name."""
        return self.name

    @abstractmethod
    def _measure(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor]:
        """Return scores and their errors [neurons] from rows left out in turn; none of the activations is constant."""

    def _chance(self, recorded: Block) -> Float[Tensor, " neurons"]:
        """Return what a guess that tells no row from another scores; none of the activations is constant."""
        return torch.zeros(recorded.shape[1], dtype=torch.float64)

    def score(
        self, simulated: ActivationMatrix, recorded: ActivationMatrix, rows: Sequence[int] | Int[Tensor, " rows"]
    ) -> Scores:
        """Score each simulated neuron against its recorded activations.

        Parameters
        ----------
        simulated
            Output of ``simulate``, for all the recorded neurons or some of them.
        recorded
            Output of ``record``.
        rows
            The images to score on: the test rows of the split.

        Returns
        -------
        Scores
            In the order of ``simulated.neurons``; NaN where the recorded side is constant over ``rows``. Where only the
            simulated one is, the neuron is ``silent``, and scores what a guess does that tells no image from another.
            The standard errors leave out every twentieth of ``rows`` at a time; of regions, of their images.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or a row is not among them.
        ValueError
            A simulated neuron was not recorded, or is one of another layer, or there are fewer than two rows.
        """
        check_same_images(simulated.images, recorded.images, simulated.n_images, recorded.n_images)
        check_same_layer(simulated.layer, recorded.layer)
        chosen = _check_rows(rows, recorded.n_images)
        recorded = recorded.select(simulated.neurons)
        size = max(1, min(_NEURONS_PER_BLOCK, _NUMBERS_PER_BLOCK // len(chosen)))
        blocks = [slice(start, start + size) for start in range(0, simulated.n_neurons, size)]
        images = None if recorded.regions is None else recorded.regions.image_of(chosen)
        left_out = groups(len(chosen), images)
        pieces = [
            self._score(simulated.values[chosen, block], recorded.values[chosen, block], left_out) for block in blocks
        ]
        values, errors, silent = (torch.cat(side) for side in zip(*pieces, strict=True))
        rows_are = "images" if images is None else "regions"
        return Scores(values, simulated.neurons, self.metric, len(chosen), errors, silent=silent, rows_are=rows_are)

    def _score(self, simulated: Block, recorded: Block, left_out: Groups) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, their errors and which neurons are silent."""
        says_nothing, is_defined = is_constant(simulated), ~is_constant(recorded)
        varies, silent = is_defined & ~says_nothing, is_defined & says_nothing
        found = torch.full((2, len(varies)), torch.nan, dtype=torch.float64)
        if bool(varies.any()):
            found[:, varies] = torch.stack(self._measure(simulated[:, varies], recorded[:, varies], left_out))
        if bool(silent.any()):
            found[0, silent] = self._chance(recorded[:, silent])
        return found[0], found[1], silent


def is_constant(values: Block) -> Tensor:
    """Say of each neuron whether it has the same value in all rows."""
    return (values == values[0]).all(0)


def check_same_layer(simulated: str, recorded: str) -> None:
    """Raise ``ValueError`` if both layers are named and they differ: neurons of all layers are numbered alike."""
    if simulated and recorded and simulated != recorded:
        raise ValueError(
            f"The simulated neurons are of layer '{simulated}', the recorded ones of layer '{recorded}'. "
            "Score explanations of the recorded layer; if only the names differ, give both matrices the same one."
        )


def _check_rows(rows: Sequence[int] | Tensor, n_images: int) -> Tensor:
    chosen = torch.as_tensor(rows).to(torch.int64).flatten()
    if len(chosen) < 2:
        raise ValueError(f"There are {len(chosen)} images to score on. A score needs at least two.")
    outside = chosen[(chosen < 0) | (chosen >= n_images)]
    if len(outside):
        raise DifferentImagesError(
            f"Image {int(outside[0])} is to be scored on, but the images are 0 to {n_images - 1}. "
            "Take the rows from the split of these images."
        )
    return chosen
