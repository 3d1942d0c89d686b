"""Network Dissection: the concept that overlaps most with the images a neuron is most active on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from linexp._internal.checks import check_within
from linexp.explainers.labels import holds
from linexp.explainers.overlap import check_quantile, measure_overlap
from linexp.explainers.rows import Pixels, has_pixels
from linexp.explainers.said import Problem, check_labels, said_of
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations, Formula, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Words, highest_cuts, overlap_within, pack_columns

Categories = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class DissectionExplainer:
    """Explain each neuron by the concept with the highest IoU with the images it is most active on.

    Where concepts are of categories, those of one compete on the images that have any concept of it, which is the
    paper's rule, and the best of all categories is the explanation. Weight and bias are least squares on the training
    images.

    Parameters
    ----------
    quantile
        A neuron is active on the images above this quantile of its activations.
    threshold
        From which IoU on a neuron counts as a detector, see ``detectors``; all are explained.
    categories
        Category → its concepts, none in two; concepts of none take no part. Default: no categories, and all images.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    present_from
        The smallest presence that counts as present.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range, or a concept is in two categories.

    References
    ----------
    Bau, Zhou, Khosla, Oliva & Torralba (2017), "Network Dissection: Quantifying Interpretability of Deep Visual
    Representations".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explanations = DissectionExplainer(quantile=0.9).explain(
    ...     planted.activations, planted.concepts, Split.random(500)
    ... )
    >>> set(explanations[0].names) == set(planted.terms(0))
    True
    """

    quantile: float = 0.995
    threshold: float = 0.04
    categories: Mapping[str, Sequence[str]] | None = None
    min_activity: float = 0.0
    present_from: float = 0.5
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_quantile(self.quantile)
        check_within("threshold", self.threshold, 0, 1)
        check_labels(self)
        if self.categories is not None:
            given = dict(self.categories).items()
            frozen = tuple((category, tuple(names)) for category, names in given)
            twice = [name for name, n in Counter(name for _, names in frozen for name in names).items() if n > 1]
            if twice or not all(names for _, names in frozen):
                fact = f"The concept '{twice[0]}' is in two categories" if twice else "A category has no concepts"
                raise ValueError(f"{fact}. Give each concept one category, and each category a concept.")
            object.__setattr__(self, "categories", frozen)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by one concept; one that no concept overlaps with is "empty".

        Searches and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts. A neuron whose highest activation is shared by too many images
        for any to lie above the quantile is "empty", too.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            No concept is present in some training images and absent in others, or none of a category; ``concepts``
            lacks one of a category; or ``usable`` is of other ones.

        Warns
        -----
        UserWarning
            Some presence is neither 0 nor 1, so ``present_from`` decided.
        """
        concepts.places([name for _, names in self._given for name in names])  # all are known
        problem = Problem.of(self, activations, concepts, split, usable)
        labels = problem.labels.only((self._field_of(problem.labels.names) >= 0).tolist())
        values = activations.block(split.train)
        fields, field_of = self._packed_fields(activations, concepts, split.train), self._field_of(labels.names)
        strips = problem.above(highest_cuts(values, self.quantile))
        ious, places = torch.cat([overlap_within(strip, labels.columns, fields, field_of) for strip in strips]).max(1)
        measures = [Measure("IoU", iou) if iou > 0 else None for iou in ious.tolist()]
        said = [[labels.names[place]] if known else [] for place, known in zip(places, measures, strict=True)]
        return problem.explanations(said, measures, self.n_groups)

    def measure_test(
        self, explanations: Explanations, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split
    ) -> tuple[Measure | None, ...]:
        """Measure explanations on the test images, which nobody chose by; ``None`` where there is no explanation.

        A neuron is active where it is above the quantile of the training images.

        Raises
        ------
        ValueError
            The explanations are of another layer or of neurons that were not recorded, or ``concepts`` lacks one.
        """
        said, recorded = said_of(explanations, activations)
        field_of = self._field_of([str(one) for one in said]).numpy()
        fields = self._packed_fields(recorded, concepts, split.test)[field_of]
        return measure_overlap(said, recorded, concepts, split, self.quantile, self.present_from, fields)

    def detectors(self, explanations: Explanations) -> Explanations:
        """Return the explanations whose IoU is at least ``threshold``; their ``concepts`` are the unique detectors."""
        found = (item.neuron for item in explanations if item.measure and item.measure.value >= self.threshold)
        return explanations.only(list(found))

    @property
    def _given(self) -> Categories:
        return cast(Categories, self.categories or ())

    def _packed_fields(self, activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor) -> Words:
        """Return the rows in which each category competes, packed [fields, words]."""
        if not has_pixels(activations, concepts):
            return pack_columns([self._fields(concepts, rows)])
        pixels = Pixels.of(activations, concepts, rows)
        return pixels.fields(dict(self._given)) if self._given else pixels.all_fields()

    def _fields(self, concepts: ConceptMatrix, rows: Tensor) -> Bool[Tensor, "rows fields"]:
        """Tell which images have a concept of each category; without categories, all are of one."""
        if not self._given:
            return torch.ones(len(rows), 1, dtype=torch.bool)
        any_of = [Formula("OR", tuple(map(Formula.of, names))) for _, names in self._given]
        return holds(any_of, concepts, rows, self.present_from)

    def _field_of(self, names: Sequence[str]) -> Int[Tensor, " concepts"]:
        """Return the place of each concept's category, 0 without categories, -1 where it is of none."""
        place = {name: number for number, (_, members) in enumerate(self._given) for name in members}
        return torch.tensor([place.get(name, -1 if self._given else 0) for name in names])
