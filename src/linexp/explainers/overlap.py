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
from linexp.explainers.rows import Pixels, has_pixels, strips_of
from linexp.explainers.said import said_of
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Words, count_both, highest_cuts


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
    if has_pixels(recorded, concepts):
        return tuple(pixel_overlaps(said, recorded, concepts, split, quantile))
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


def pixel_overlaps(
    said: Sequence[Concept | None],
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    quantile: float,
    fields: Words | None = None,
) -> list[Measure | None]:
    """Return the IoU over the pixels of the test images of each neuron with its concept, as ``overlaps`` does.

    The cuts are those of the training images; ``fields`` are the pixels that count for each neuron, default all.
    """
    cuts = highest_cuts(activations.block(split.train), quantile)
    ranges = np.stack([cuts, np.full(len(cuts), np.inf)], 1)[:, None]
    pixels = Pixels.of(activations, concepts, split.test)
    strips = strips_of(activations, concepts, split.test, ranges, strict=True)
    measures: list[Measure | None] = []
    for place, (active, one) in enumerate(zip((word[0] for strip in strips for word in strip), said, strict=True)):
        if one is None:
            measures.append(None)
            continue
        inside, active = pixels.holds(one), active if fields is None else active & fields[place]
        both, either = count_both(inside, active), count_both(inside | active, inside | active)
        measures.append(Measure("IoU", both / either if either else 0.0))
    return measures
