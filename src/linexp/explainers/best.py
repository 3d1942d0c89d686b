"""The best single concept by correlation: what any method that says one concept has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import measure_cosines


@dataclass(frozen=True)
class BestConceptExplainer:
    """Explain each neuron by the concept that correlates most with it on the training images.

    Weight and bias are least squares, so that the simulated neuron correlates positively on the training images even
    where the concept counts against it. Presences are taken as they are, calibrated where the concepts are.

    Parameters
    ----------
    negative
        Whether a concept that the neuron is less active with may be the best one.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range.

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explanations = BestConceptExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> set(explanations[0].names) == set(planted.terms(0))
    True
    """

    negative: bool = True
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_shared(self)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by one concept.

        Chooses and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            No concept varies over the training images; or ``usable`` is of other concepts.
        """
        problem = Compared.of(self, activations, concepts, split, usable)
        return problem.explain(partial(self._say, problem), self.n_groups)

    def _say(self, problem: Compared) -> Said:
        found = measure_cosines(partial(problem.pairs, problem.present), centre=True)
        said, measures = problem.best(found.abs() if self.negative else found, "train correlation")
        places = [problem.names.index(one[0]) for one in said]
        signed = found[range(len(places)), places].tolist()
        return said, [one and Measure(one.name, value) for one, value in zip(measures, signed, strict=True)]
