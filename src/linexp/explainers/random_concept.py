"""A random concept: what a method gets for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from linexp._internal.checks import check_whole
from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split


@dataclass(frozen=True)
class RandomConceptExplainer:
    """Explain each neuron by concepts drawn by lot, every one as likely.

    Weights and bias are least squares on the training images: what they score is what fitting alone is worth.

    Parameters
    ----------
    n_terms
        Concepts for each neuron.
    seed
        Decides the lots, together with the number of the neuron.
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
    >>> planted = make_planted(n_images=500)
    >>> explanations = RandomConceptExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> explanations.mean_terms
    1.0
    """

    n_terms: int = 1
    seed: int = 0
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_whole("n_terms", self.n_terms, 1)
        check_whole("seed", self.seed, 0)
        check_shared(self)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by concepts drawn by lot; all of them, where there are too few.

        Fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is what
        ``find_usable`` found in these concepts.

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
        alive = zip(problem.activations.neurons, problem.living.tolist(), strict=True)
        said = [self._draw(neuron, problem.names) for neuron, is_living in alive if is_living]
        return said, [None] * len(said)

    def _draw(self, neuron: int, names: tuple[str, ...]) -> list[str]:
        rng = np.random.default_rng((self.seed, abs(neuron), int(neuron < 0)))
        return [names[place] for place in rng.permutation(len(names))[: self.n_terms]]
