"""Compositional Explanations: the logical formula that overlaps most with the images a neuron is most active on."""

from __future__ import annotations

from dataclasses import dataclass

from linexp._internal.checks import check_whole, check_within
from linexp.explainers.overlap import check_quantile, measure_overlap
from linexp.explainers.said import Problem, check_labels, said_of
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import AND, AND_NOT, OR, BeamSearch, highest_cuts, search_iou


@dataclass(frozen=True)
class CompositionalExplainer:
    """Explain each neuron by the formula with the highest IoU with the images it is most active on.

    A beam search begins with single concepts and joins them to "or", "and" and "and not" of a further one. Formulas
    that hold in the same images are one. The measure kept is the IoU without the penalty of length. Weight and bias are
    least squares on the training images.

    Parameters
    ----------
    max_length
        Most concepts in a formula; 1 or more.
    beam
        Formulas kept after each round of the search.
    quantile
        A neuron is active on the images above this quantile of its activations.
    length_penalty
        What the IoU is multiplied by for each concept after the first, above 0 and at most 1.
    not_counts
        Whether "not" counts as a concept for the penalty, as in the released code.
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
    Mu & Andreas (2020), "Compositional Explanations of Neurons".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=2, noise=0.01)
    >>> explanations = CompositionalExplainer(quantile=0.9).explain(
    ...     planted.activations, planted.concepts, Split.random(500)
    ... )
    >>> explanations[0].measure.name
    'IoU'
    """

    max_length: int = 3
    beam: int = 5
    quantile: float = 0.995
    length_penalty: float = 1.0
    not_counts: bool = False
    min_activity: float = 0.0
    present_from: float = 0.5
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_whole("max_length", self.max_length, 1)
        check_whole("beam", self.beam, 1)
        check_quantile(self.quantile)
        check_within("length_penalty", self.length_penalty, 1e-12, 1)
        check_labels(self)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by one formula; one that no concept overlaps with is "empty".

        Searches and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts. A neuron whose highest activation is shared by too many images
        for any to lie above the quantile is "empty", too.

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
        said: list[Concept | None] = []
        ious: list[float] = []
        for active in problem.above(highest_cuts(values, self.quantile)):
            found = search_iou(labels.columns, active, labels.n_rows, self._search)
            said += [labels.concept(found.formula(neuron)) for neuron in range(len(active))]
            ious += found.scores[:, 0].tolist()
        measures = [None if one is None else Measure("IoU", iou) for one, iou in zip(said, ious, strict=True)]
        return problem.explanations([[] if one is None else [one] for one in said], measures, self.n_groups)

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
        return measure_overlap(*said_of(explanations, activations), concepts, split, self.quantile, self.present_from)

    @property
    def _search(self) -> BeamSearch:
        return BeamSearch(
            self.max_length,
            self.beam,
            self.beam,
            (OR, AND, AND_NOT),
            penalty=self.length_penalty,
            not_counts=self.not_counts,
        )
