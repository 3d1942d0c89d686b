"""SpLiCE: few concepts whose embeddings, weighted, add up to that of what a neuron sees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from linexp._internal.checks import check_at_least, check_within
from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.needs import Given
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split
from linexp.solve import accumulate_product, multiply, solve_elastic_net


@dataclass(frozen=True)
class SpLiCEExplainer:
    """Explain each neuron by the sparse, non-negative sum of concepts' embeddings nearest to its own (SpLiCE).

    A neuron's embedding is the mean of those of the training images, weighted by its activation, less their plain mean:
    the direction in which images that activate it differ from others, which no constant added to the activations
    changes. It and the concepts' embeddings, less their mean, have length 1. The terms are those of positive weight
    in the lasso; their weights and the bias are then least squares on the training images.

    Parameters
    ----------
    strength
        Weight of the sum of weights beside the squared distance (λ in the paper), above 0: the larger, the fewer terms.
    tolerance
        Largest duality gap of the lasso, as a share of its objective without any term.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range.

    References
    ----------
    Bhalla, Oesterling, Srinivas, Calmon & Lakkaraju (2024), "Interpreting CLIP with Sparse Linear Concept Embeddings
    (SpLiCE)".

    Examples
    --------
    >>> import torch
    >>> from linexp import ActivationMatrix, EmbeddedConceptMatrix, Split
    >>> vectors = torch.nn.functional.normalize(torch.randn(206, 20, generator=torch.Generator().manual_seed(0)), dim=1)
    >>> concepts = EmbeddedConceptMatrix(vectors[:200], vectors[200:], list("abcdef"), a=10.0, b=0.0)
    >>> activations = ActivationMatrix(vectors[:200] @ (vectors[201:202] + 0.5 * vectors[204:205]).T)
    >>> explanations = SpLiCEExplainer().explain(activations, concepts, Split.random(200))
    >>> explanations[0].concepts[:2]
    ('b', 'e')
    """

    strength: float = 0.25
    tolerance: float = 1e-6
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_at_least("strength", self.strength, 1e-12)
        check_within("tolerance", self.tolerance, 1e-15, 1)
        check_shared(self)

    def check(self, given: Given) -> None:
        """Raise ``ValueError`` if the concepts have no embeddings."""
        if not given.embedded:
            raise ValueError(
                f"SpLiCE takes embeddings apart, and {given.concepts} are columns without any. Describe the images "
                "with le.TextConcepts, or on the command line with --concepts text, which keeps those of its encoder."
            )

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by the concepts that its embedding is made of; one too far from all of them is "empty".

        Fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is what
        ``find_usable`` found in these concepts.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            The concepts have no embeddings, or none of them varies over the training images; or ``usable`` is of other
            concepts.

        Warns
        -----
        NotConvergedWarning
            The lasso of some neurons did not reach ``tolerance``.
        """
        self.check(Given.of(concepts, split))
        problem = Compared.of(self, activations, concepts, split, usable)
        return problem.explain(partial(self._say, problem), self.n_groups)

    def _say(self, problem: Compared) -> Said:
        kept = problem.kept
        assert isinstance(kept, EmbeddedConceptMatrix)  # the usable ones of a matrix that was
        words = kept.text_embeddings.to(torch.float64)
        words = torch.nn.functional.normalize(words - words.mean(0))
        neurons = torch.nn.functional.normalize(_directions(problem, kept))
        gram, cross = multiply(words, words.T), multiply(neurons, words.T)
        fit = solve_elastic_net(
            gram.numpy(),
            cross.T.numpy(),
            np.ones(len(neurons)),
            strength=self.strength / 2,  # beside half the squared distance
            l1_ratio=1.0,
            tolerance=self.tolerance,
            positive=True,
        )
        weights = fit.weights.T
        made = torch.nn.functional.normalize(torch.from_numpy(weights) @ words)
        alike = (made * neurons).sum(1).tolist()
        said = [[problem.names[place] for place in np.flatnonzero(row > 0)] for row in weights]
        return said, [Measure("cosine", value) if some else None for value, some in zip(alike, said, strict=True)]


def _directions(problem: Compared, kept: EmbeddedConceptMatrix) -> Tensor:
    """Return the covariance of each neuron with the images' embeddings [neurons, dims], in float64."""
    places = torch.arange(len(problem.split.train)).split(256)
    images = [problem.split.train[some] for some in places]
    vector_mean = sum(kept.image_embeddings[rows].sum(0, dtype=torch.float64) for rows in images) / len(problem.active)
    active_mean = problem.active.T.contiguous().to(torch.float64).mean(1)
    pairs = (
        (kept.image_embeddings[rows] - vector_mean, problem.active[some] - active_mean)
        for rows, some in zip(images, places, strict=True)
    )
    return accumulate_product(pairs) / len(problem.active)
