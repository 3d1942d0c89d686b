"""INVERT: the logical formula whose images a neuron ranks above all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from linexp._internal.checks import check_whole, check_within
from linexp.explainers.labels import holds
from linexp.explainers.said import Problem, check_labels, said_of
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import AND, AND_NOT, OR, OR_NOT, BeamSearch, mann_whitney, search_auroc

# A share of images that is a whole number but for rounding is that number.
_EXACT = 1e-6


@dataclass(frozen=True)
class InvertExplainer:
    """Explain each neuron by the formula of concepts that it tells from the other images best (INVERT).

    The measure is the area under the ROC curve (AUROC): the share of pairs of an image in which the formula holds and
    one in which it does not that the neuron ranks that way, equal activations counting half. A beam search joins
    concepts and their negations by AND and OR. Weight and bias are least squares on the training images.

    The p-value with the measure is that of the training images, which also chose the formula, so it is far too small;
    ``measure_test`` gives the one of images that nobody chose by.

    Parameters
    ----------
    max_length
        Most concepts in a formula; 1 or more.
    beam
        Formulas kept after each round of the search.
    min_fraction, max_fraction
        Share of the training images in which a formula may hold, from least to most. INVERT's own example takes 0.002
        for the least.
    negate
        Whether concepts may be negated.
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
    Bykov et al. (2023), "Labeling Neural Representations with Inverse Recognition".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explanations = InvertExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> set(planted.terms(0)) <= set(explanations[0].names)
    True
    """

    max_length: int = 3
    beam: int = 3
    min_fraction: float = 0.0
    max_fraction: float = 0.5
    negate: bool = True
    min_activity: float = 0.0
    present_from: float = 0.5
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_whole("max_length", self.max_length, 1)
        check_whole("beam", self.beam, 1)
        check_within("max_fraction", self.max_fraction, 0, 1)
        check_within("min_fraction", self.min_fraction, 0, self.max_fraction)
        check_labels(self)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by one formula; where none holds in an allowed share of the images it is "empty".

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
        values, labels = activations.block(split.train), problem.labels
        found = search_auroc(labels.columns, values.numpy(), self._search(labels.n_rows))
        said = [labels.concept(found.formula(neuron)) for neuron in range(activations.n_neurons)]
        measures = self._measure(said, values, concepts, split.train)
        return problem.explanations([[] if one is None else [one] for one in said], measures, self.n_groups)

    def measure_test(
        self, explanations: Explanations, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split
    ) -> tuple[Measure | None, ...]:
        """Measure explanations on the test images, which nobody chose by: these p-values mean what they say.

        ``None`` where there is no explanation, or its formula holds in all of the images or in none.

        Raises
        ------
        ValueError
            The explanations are of another layer or of neurons that were not recorded, or ``concepts`` lacks one.
        """
        said, recorded = said_of(explanations, activations)
        return tuple(self._measure(said, recorded.block(split.test), concepts, split.test))

    def _measure(
        self, said: Sequence[Concept | None], values: Tensor, concepts: ConceptMatrix, rows: Tensor
    ) -> list[Measure | None]:
        measures: list[Measure | None] = [None] * len(said)
        known = {place: one for place, one in enumerate(said) if one is not None}
        if known:
            inside = holds(list(known.values()), concepts, rows, self.present_from)
            for place, area, p_value in zip(known, *mann_whitney(values[:, list(known)], inside), strict=True):
                measures[place] = None if math.isnan(area) else Measure("AUROC", float(area), float(p_value))
        return measures

    def _search(self, n_rows: int) -> BeamSearch:
        operators = (AND, AND_NOT, OR, OR_NOT) if self.negate else (AND, OR)
        least, most = math.ceil(self.min_fraction * n_rows - _EXACT), math.floor(self.max_fraction * n_rows + _EXACT)
        return BeamSearch(self.max_length, self.beam, self.beam, operators, max(least, 1), min(most, n_rows - 1))
