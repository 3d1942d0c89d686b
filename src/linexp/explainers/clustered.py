"""Clustered Compositional Explanations: a logical formula for each range of a neuron's activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.checks import check_whole
from linexp.explainers.labels import holds
from linexp.explainers.overlap import check_quantile
from linexp.explainers.said import Problem, check_labels
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import AND, AND_NOT, OR, BeamSearch, cluster_lines, coverage, highest_cuts, ranges_above, search_iou

# Ranges whose images are held at a time, as bits of a byte each.
_STRIP = 512


@dataclass(frozen=True)
class ActivationRange:
    """A range of a neuron's activations, what it is about, and how well that covers it.

    Parameters
    ----------
    neuron
        The neuron.
    low, high
        Smallest and largest activation of the training images in the range; with one range the cut, and infinity.
    concept
        The word or formula that overlaps most with the images in the range; ``None``: none does.
    iou
        Intersection over union of the images in the range and those in which the concept holds.
    activation_coverage
        Share of the images in the range in which the concept holds.
    detection_accuracy
        Share of the images in which the concept holds that are in the range.
    sample_coverage, explanation_coverage
        The last two in the other order, counted by images: where a row is an image they are the same numbers. All
        five are ``nan`` where there is nothing to take a share of.
    """

    neuron: int
    low: float
    high: float
    concept: Concept | None
    iou: float
    activation_coverage: float
    detection_accuracy: float
    sample_coverage: float
    explanation_coverage: float


@dataclass(frozen=True)
class ClusteredExplainer:
    """Explain each neuron by a formula for each range of its activations, not for the highest alone.

    The ranges are those of k-means, found exactly: on a line the best clusters follow from dynamic programming, so they
    depend on no seed. Zeros take no part where a neuron is never negative. A beam search, twice as wide in its first
    round, finds for each range the formula with the highest IoU; ``ranges`` returns them with their measures. The
    explanation is the weighted sum of these formulas, by least squares on the training images; the measure kept is the
    mean IoU of the ranges.

    Parameters
    ----------
    n_ranges
        How many ranges; 1: the activations above ``quantile``, as in ``CompositionalExplainer``.
    max_length
        Most concepts in a formula; 1 or more.
    beam
        Formulas kept after each round of the search but the first.
    quantile
        Looked at with one range only.
    strict
        Whether the ends of a range lie outside, as in the released code, where the images at the ends are of no range.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    present_from
        The smallest presence that counts as present.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range.

    References
    ----------
    La Rosa, Gilpin & Capobianco (2023), "Towards a Fuller Understanding of Neurons with Clustered Compositional
    Explanations".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=2, noise=0.01)
    >>> given = planted.activations, planted.concepts, Split.random(500)
    >>> len([one for one in ClusteredExplainer(n_ranges=3).ranges(*given) if one.neuron == 0])
    3
    """

    n_ranges: int = 5
    max_length: int = 3
    beam: int = 5
    quantile: float = 0.995
    strict: bool = False
    min_activity: float = 0.0
    present_from: float = 0.5
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_whole("n_ranges", self.n_ranges, 1)
        check_whole("max_length", self.max_length, 1)
        check_whole("beam", self.beam, 1)
        check_quantile(self.quantile)
        check_labels(self)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by a term for each different formula of its ranges; without any it is "empty".

        Searches and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            No concept is present in some training images and absent in others; or ``usable`` is of other ones.

        Warns
        -----
        UserWarning
            Some presence is neither 0 nor 1, so ``present_from`` decided.
        """
        problem = Problem.of(self, activations, concepts, split, usable)
        said: dict[int, list[Concept]] = {neuron: [] for neuron in activations.neurons}
        ious: dict[int, list[float]] = {neuron: [] for neuron in activations.neurons}
        for neuron, _, concept, iou in self._find(problem):
            if concept is not None:
                said[neuron].append(concept)
            ious[neuron].append(max(iou, 0.0))
        measures = [Measure("mean IoU", float(np.mean(some))) if some else None for some in ious.values()]
        return problem.explanations(list(said.values()), measures, self.n_groups)

    def ranges(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> tuple[ActivationRange, ...]:
        """Return the ranges of every neuron, the lowest first, with their formulas, measured on the training images.

        Parameters, errors and warnings are those of ``explain``. A neuron has fewer ranges than asked for if it has
        fewer different activations.
        """
        problem = Problem.of(self, activations, concepts, split, usable)
        nan = float("nan")
        found = [
            ActivationRange(neuron, low, high, concept, nan, nan, nan, nan, nan)
            for neuron, (low, high), concept, _ in self._find(problem)
        ]
        return self.measure_ranges(found, activations, concepts, split.train)

    def measure_ranges(
        self,
        ranges: Sequence[ActivationRange],
        activations: ActivationMatrix,
        concepts: ConceptMatrix,
        rows: Sequence[int] | Tensor,
    ) -> tuple[ActivationRange, ...]:
        """Measure ranges and their formulas on some images, such as those of the test split, which nobody chose by.

        Raises
        ------
        ValueError
            A neuron was not recorded, or ``concepts`` lacks what is named.
        """
        wanted = torch.as_tensor(rows)
        measured: list[ActivationRange] = []
        for start in range(0, len(ranges), _STRIP):
            strip = ranges[start : start + _STRIP]
            active = self._active(strip, activations, wanted)
            known = [place for place, one in enumerate(strip) if one.concept is not None]
            inside = torch.zeros_like(active)
            if known:
                said = [one.concept for one in strip if one.concept is not None]
                inside[:, known] = holds(said, concepts, wanted, self.present_from)
            measures = coverage(active, inside).tolist()
            measured += [
                ActivationRange(one.neuron, one.low, one.high, one.concept, *numbers)
                for one, numbers in zip(strip, measures, strict=True)
            ]
        return tuple(measured)

    def _find(self, problem: Problem) -> list[tuple[int, tuple[float, float], Concept | None, float]]:
        """Return neuron, ends, formula and IoU of every range there is."""
        values, labels = problem.activations.block(problem.split.train), problem.labels
        if self.n_ranges == 1:
            ends = ranges_above(highest_cuts(values, self.quantile))
        else:
            ends = cluster_lines(values, self.n_ranges, drop_zeros=True)
        search = BeamSearch(self.max_length, self.beam, 2 * self.beam, (OR, AND, AND_NOT))
        found: list[tuple[Concept | None, float]] = []
        for active in problem.strips(ends, strict=self._ends_outside):
            beam = search_iou(labels.columns, active.reshape(-1, active.shape[2]), labels.n_rows, search)
            found += [(labels.concept(beam.formula(place)), float(one[0])) for place, one in enumerate(beam.scores)]
        return [
            (neuron, (low, high), concept, iou)
            for (neuron, (low, high)), (concept, iou) in zip(
                _numbered(problem.activations.neurons, ends), found, strict=True
            )
            if low <= high  # NaN: the neuron has fewer ranges
        ]

    @property
    def _ends_outside(self) -> bool:
        return self.strict or self.n_ranges == 1

    def _active(self, ranges: Sequence[ActivationRange], activations: ActivationMatrix, rows: Tensor) -> Tensor:
        """Tell in which rows the neuron of each range lies in it."""
        place = {neuron: column for column, neuron in enumerate(dict.fromkeys(one.neuron for one in ranges))}
        line = activations.select(list(place)).block(rows).to(torch.float64)[:, [place[one.neuron] for one in ranges]]
        low, high = torch.tensor([(one.low, one.high) for one in ranges], dtype=torch.float64).T
        return (line > low) & (line < high) if self._ends_outside else (line >= low) & (line <= high)


def _numbered(neurons: Sequence[int], ends: NDArray[np.float64]) -> list[tuple[int, tuple[float, float]]]:
    """Return neuron and ends of every place for a range."""
    return [(neuron, (low, high)) for neuron, some in zip(neurons, ends.tolist(), strict=True) for low, high in some]
