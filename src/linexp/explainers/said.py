"""What methods without weights of their own share: settings, and from what they say to explanations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexp._internal.checks import check_same_images, check_whole, check_within
from linexp.explainers.labels import Labels, read_labels
from linexp.explainers.rows import Pixels, has_pixels, strips_of
from linexp.explainers.usable import Usable, find_usable
from linexp.explainers.weights import fit_weights
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Words


def check_shared(settings: Any) -> None:
    """Raise ``ValueError`` if a setting that these methods share is outside its range."""
    check_within("min_activity", settings.min_activity, 0, 1)
    check_within("present_from", settings.present_from, 1e-12, 1)
    check_whole("n_groups", settings.n_groups, 2 if settings.n_groups else 0)


@dataclass(frozen=True, eq=False)
class Problem:
    """What is explained by what: the two matrices, checked, and the concepts as zeros and ones."""

    activations: ActivationMatrix
    concepts: ConceptMatrix
    split: Split
    usable: Usable
    labels: Labels

    @staticmethod
    def of(
        settings: Any, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, usable: Usable | None
    ) -> Problem:
        """Check the matrices, and find the usable concepts where nobody did."""
        check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
        split.check(activations.n_images)
        usable = usable or find_usable(concepts, split, settings.min_activity)
        usable.check(concepts, split, settings.min_activity)
        if has_pixels(activations, concepts):
            kept = zip(concepts.names, usable.columns.tolist(), strict=True)
            labels = Pixels.of(activations, concepts, split.train).labels([name for name, one in kept if one])
        else:
            labels = read_labels(concepts, usable, settings.present_from)
        return Problem(activations, concepts, split, usable, labels)

    def strips(self, ranges: NDArray[np.float64], *, strict: bool) -> Iterator[Words]:
        """Yield the training rows in which each neuron lies in its ranges, as ``strips_of`` does."""
        return strips_of(self.activations, self.concepts, self.split.train, ranges, strict=strict)

    def above(self, cuts: NDArray[np.float64]) -> Iterator[Words]:
        """Yield the training rows in which each neuron is above its cut, packed [neurons, words]."""
        ranges = np.stack([cuts, np.full(len(cuts), np.inf)], 1)[:, None]
        return (words[:, 0] for words in self.strips(ranges, strict=True))

    def explanations(
        self, said: Sequence[Sequence[Concept]], measures: Sequence[Measure | None], n_groups: int
    ) -> Explanations:
        """Return explanations of what is said of each neuron, with weights, bias and the method's own measure."""
        given = self.activations, self.concepts, self.split
        kept = [measure if some else None for some, measure in zip(said, measures, strict=True)]
        fitted = fit_weights(said, *given, measures=kept, n_groups=n_groups)
        return replace(fitted, dropped=self.usable.dropped)


def said_of(explanations: Explanations, activations: ActivationMatrix) -> tuple[list[Concept | None], ActivationMatrix]:
    """Return the concept of each explanation, ``None`` where there is none, and the activations of their neurons.

    Raises
    ------
    ValueError
        They are of another layer, or of neurons that were not recorded.
    """
    if explanations.layer and activations.layer and explanations.layer != activations.layer:
        raise ValueError(
            f"The explanations are of layer '{explanations.layer}', the activations of layer '{activations.layer}'. "
            "Measure explanations on the layer that they explain."
        )
    said = [item.concepts[0] if item.terms else None for item in explanations]
    return said, activations.select(explanations.neurons)
