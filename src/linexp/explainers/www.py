"""WWW: all concepts nearly as similar to a neuron's top images as the most similar one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from linexp._internal.checks import check_whole, check_within
from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.needs import Given
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split
from linexp.solve import multiply, top_rows


@dataclass(frozen=True)
class WWWExplainer:
    """Explain each neuron by the concepts that its top images are most similar to (WWW).

    The similarity of a concept is the mean, over these images, of its cosine less that of ``base``: what the prompt
    alone, or any concept, has in common with them. All concepts above ``share`` of the highest are terms; weights and
    bias are least squares on the training images. Of a matrix without embeddings presences are taken for cosines.

    Parameters
    ----------
    n_top
        Images of the highest activation looked at.
    share
        Share of the highest similarity (α in the paper) above which a concept is a term, from 0 up to, but not, 1.
    base
        Concept of the matrix that is the prompt without a word, such as "A photo of a"; it is no term. Default: the
        mean of all concepts stands for it.
    max_terms
        Most terms of an explanation, of the highest similarity; default: any number.
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
    Ahn, Kim & Kim (2024), "WWW: A Unified Framework for Explaining What, Where and Why of Neural Networks by
    Interpretation of Neuron Concepts".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explanations = WWWExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> set(planted.terms(0)) <= set(explanations[0].names)
    True
    """

    compares_embeddings: ClassVar[bool] = True
    n_top: int = 40
    share: float = 0.95
    base: str | None = None
    max_terms: int | None = None
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_whole("n_top", self.n_top, 1)
        check_within("share", self.share, 0, 1 - 1e-12)
        check_whole("max_terms", 1 if self.max_terms is None else self.max_terms, 1)
        check_shared(self)

    def check(self, given: Given) -> None:
        """Raise ``ValueError`` if there are too few images, or no concept is called ``base``."""
        given.check_enough("n_top", self.n_top)
        if self.base is not None:
            given.check_named("base", self.base)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by the concepts that its top images are most similar to.

        Compares and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts. A neuron whose top images are less similar to every concept than
        to the base is "empty".

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            There are fewer training images than are looked at; ``base`` is no concept of the matrix; no concept varies
            over these images; or ``usable`` is of other concepts.
        """
        self.check(Given.of(concepts, split))
        problem = Compared.of(self, activations, concepts, split, usable)
        return problem.explain(partial(self._say, problem), self.n_groups)

    def _say(self, problem: Compared) -> Said:
        top = split_rows(problem, self.n_top)
        base = None if self.base is None else _mean_similarity(problem.concepts.only([self.base]), top)
        found = _mean_similarity(problem.kept, top)
        found = (found - (found.mean(1, keepdim=True) if base is None else base)).numpy()
        is_term = np.array([name != self.base for name in problem.names])
        found[:, ~is_term] = -np.inf
        said: list[list[str]] = []
        measures: list[Measure | None] = []
        for row in found:
            order = np.argsort(-row, kind="stable")
            highest = float(row[order[0]])
            terms = [problem.names[place] for place in order if row[place] > self.share * highest]
            said.append(terms[: self.max_terms])
            measures.append(Measure("WWW similarity", highest) if terms else None)
        return said, measures


def split_rows(problem: Compared, n_top: int) -> Tensor:
    """Return the rows [n_top, neurons] of each neuron's top images."""
    return problem.split.train[torch.from_numpy(top_rows(problem.active, n_top).T.copy())]


def _mean_similarity(concepts: ConceptMatrix, top: Tensor) -> Tensor:
    """Return the mean similarity of some images of each neuron with each concept [neurons, concepts], in float64.

    That of a mean of embeddings is the mean of theirs, so that their cosines need not be made.
    """
    embedded = isinstance(concepts, EmbeddedConceptMatrix)
    total = torch.zeros(())
    for rows in top:
        some = concepts.image_embeddings[rows] if embedded else concepts.block(rows)
        total = total + some.to(torch.float64)
    mean = total / len(top)
    return multiply(mean, concepts.text_embeddings.T) if embedded else mean
