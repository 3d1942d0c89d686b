"""What the methods by intersection over union share: which images a neuron is active in, and the measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.checks import check_within
from linexp.explainers.labels import holds
from linexp.explainers.said import said_of
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import highest_cuts


def check_quantile(quantile: float) -> None:
    """Raise ``ValueError`` unless some images lie above the quantile."""
    check_within("quantile", quantile, 0, 1)
    if quantile == 1:
        raise ValueError("quantile is 1. Nothing lies above it; 0.995 takes the highest 0.5 % of the images.")


def measure_overlap(
    explanations: Explanations,
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    quantile: float,
    present_from: float,
) -> tuple[Measure | None, ...]:
    """Measure explanations of one concept on the test images, the cuts being those of the training images."""
    said, recorded = said_of(explanations, activations)
    cuts = highest_cuts(recorded.block(split.train), quantile)
    values = recorded.block(split.test)
    return tuple(overlaps(said, above(values, cuts), concepts, split.test, present_from))


def above(values: Float[Tensor, "rows neurons"], cuts: NDArray[np.float64]) -> Bool[Tensor, "rows neurons"]:
    """Tell in which rows each neuron is above its cut."""
    return values.to(torch.float64) > torch.from_numpy(cuts)


def overlaps(
    said: Sequence[Concept | None],
    active: Bool[Tensor, "rows neurons"],
    concepts: ConceptMatrix,
    rows: Tensor,
    present_from: float,
) -> list[Measure | None]:
    """Return the IoU of each neuron's active rows with those in which its concept holds; ``None`` without concept."""
    measures: list[Measure | None] = [None] * len(said)
    known = {place: one for place, one in enumerate(said) if one is not None}
    if known:
        inside, active = holds(list(known.values()), concepts, rows, present_from), active[:, list(known)]
        both, either = (inside & active).sum(0).tolist(), (inside | active).sum(0).tolist()
        for place, shared, all_of_them in zip(known, both, either, strict=True):
            measures[place] = Measure("IoU", shared / all_of_them if all_of_them else 0.0)
    return measures
