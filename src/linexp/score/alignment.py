"""What all scorers of simulated against recorded activations share: alignment, blocks, what is undefined or silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import DifferentImagesError, check_same_images
from linexp.matrix import ActivationMatrix
from linexp.score.base import Scores

# Bounds the memory for copies of a block, whatever the number of images.
_NUMBERS_PER_BLOCK, _NEURONS_PER_BLOCK = 1 << 21, 256
Measure = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Simulated and recorded activations [rows, neurons], none of them constant → scores and errors [neurons]."""


Chance = Callable[[Tensor], Tensor]
"""Recorded activations [rows, neurons], none of them constant → what a guess that tells no row from another scores."""


def score_nothing(recorded: Float[Tensor, "rows neurons"]) -> Float[Tensor, " neurons"]:
    """Give 0 to what says nothing."""
    return torch.zeros(recorded.shape[1], dtype=torch.float64)


def score_in_blocks(
    simulated: ActivationMatrix,
    recorded: ActivationMatrix,
    rows: Sequence[int] | Int[Tensor, " rows"],
    metric: str,
    measure: Measure,
    chance: Chance = score_nothing,
) -> Scores:
    """Score every simulated neuron, some at a time, over ``rows``.

    Where the recorded side is constant the score is undefined; where only the simulated one is, the neuron is silent
    and scores what ``chance`` says.

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
    pieces = [
        _measure_what_varies(simulated.values[chosen, block], recorded.values[chosen, block], measure, chance)
        for block in blocks
    ]
    values, errors, silent = (torch.cat(side) for side in zip(*pieces, strict=True))
    return Scores(values, simulated.neurons, metric, len(chosen), errors, silent=silent)


def is_constant(values: Float[Tensor, "rows neurons"]) -> Tensor:
    """Say of each neuron whether it has the same value in all rows."""
    return (values == values[0]).all(0)


def check_same_layer(simulated: str, recorded: str) -> None:
    """Raise ``ValueError`` if both layers are named and they differ: neurons of all layers are numbered alike."""
    if simulated and recorded and simulated != recorded:
        raise ValueError(
            f"The simulated neurons are of layer '{simulated}', the recorded ones of layer '{recorded}'. "
            "Score explanations of the recorded layer; if only the names differ, give both matrices the same one."
        )


def _measure_what_varies(
    simulated: Tensor, recorded: Tensor, measure: Measure, chance: Chance
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, their errors and which neurons are silent."""
    says_nothing, is_defined = is_constant(simulated), ~is_constant(recorded)
    varies, silent = is_defined & ~says_nothing, is_defined & says_nothing
    found = torch.full((2, len(varies)), torch.nan, dtype=torch.float64)
    if bool(varies.any()):
        found[:, varies] = torch.stack(measure(simulated[:, varies], recorded[:, varies]))
    if bool(silent.any()):
        found[0, silent] = chance(recorded[:, silent])
    return found[0], found[1], silent


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
