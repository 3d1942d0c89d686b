"""What the methods by intersection over union share: which images a neuron is active in, and the measure."""

from __future__ import annotations

from collections.abc import Sequence

from linexp._internal.checks import check_within
from linexp.explainers.rows import strips_of, words_of
from linexp.explanations import Concept, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Words, count_both, highest_cuts, ranges_above


def check_quantile(quantile: float) -> None:
    """Raise ``ValueError`` unless some images lie above the quantile."""
    check_within("quantile", quantile, 0, 1)
    if quantile == 1:
        raise ValueError("quantile is 1. Nothing lies above it; 0.995 takes the highest 0.5 % of the images.")


def measure_overlap(
    said: Sequence[Concept | None],
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    split: Split,
    quantile: float,
    present_from: float,
    fields: Words | None = None,
) -> tuple[Measure | None, ...]:
    """Return the IoU of what is said of each neuron on the test images, the cuts being those of the training images.

    Rows are those of the matrices, or the pixels behind them. ``fields`` [neurons, words] are the rows in which a
    neuron counts, default all; ``None`` is said where there is no explanation, and measured.
    """
    cuts = highest_cuts(activations.block(split.train), quantile)
    strips = strips_of(activations, concepts, split.test, ranges_above(cuts), strict=True)
    holding = words_of(said, activations, concepts, split.test, present_from)
    measures: list[Measure | None] = []
    for place, (active, one) in enumerate(zip((row[0] for strip in strips for row in strip), said, strict=True)):
        if one is None:
            measures.append(None)
            continue
        inside, active = holding[one], active if fields is None else active & fields[place]
        both, either = count_both(inside, active), count_both(inside | active, inside | active)
        measures.append(Measure("IoU", both / either if either else 0.0))
    return tuple(measures)
