"""CLIP-Dissect: the concept whose similarity with the images goes along best with a neuron's activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from linexp._internal.checks import check_at_least, check_choice, check_whole, check_within
from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.needs import Given
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Weighting, measure_cosines, measure_information, measure_reordering, top_rows

Similarity = Literal["soft_wpmi", "wpmi", "rank_reorder", "cos_similarity", "cos_similarity_cubed"]
# Probability that an image is in the set that the concept should explain: from the first of a neuron's top images to
# where the last would be followed by another, falling evenly; the released code's.
_INSIDE = (0.998, 0.97)
# Cubed columns shorter than this count as this long; the released code's.
_LEAST_NORM = 1e-3


class _Kind(NamedTuple):
    """What a similarity is called, and the settings that it looks at, with their defaults."""

    title: str
    settings: dict[str, float]


_KINDS: dict[str, _Kind] = {
    "soft_wpmi": _Kind("soft-WPMI", {"n_top": 100, "scale": 10.0, "prior": 1.0}),
    "wpmi": _Kind("WPMI", {"n_top": 28, "scale": 2.0, "prior": 0.6}),
    "rank_reorder": _Kind("rank reorder", {"top_share": 0.05}),
    "cos_similarity": _Kind("cosine", {}),
    "cos_similarity_cubed": _Kind("cosine cubed", {}),
}


@dataclass(frozen=True)
class CLIPDissectExplainer:
    """Explain each neuron by the concept most similar to it over the training images (CLIP-Dissect).

    Concepts that are embeddings are compared by their cosines with the images, whatever their calibration; of any
    other matrix the presences themselves are taken, such as labels. Weight and bias are least squares on the training
    images. In "soft_wpmi" and "wpmi" all neurons and all concepts take part in what one neuron gets: explain whole
    layers.

    Parameters
    ----------
    similarity
        "soft_wpmi": weighted pointwise mutual information with the neuron's top images, each in the set with a
        probability of its own. "wpmi": the same with a set of fewer images. "rank_reorder": how well the concept orders
        the top images. "cos_similarity": cosine of the two columns. "cos_similarity_cubed": the same of their cubes,
        centred.
    n_top
        Images of the highest activation looked at; "soft_wpmi" and "wpmi" alone. Default: 100 and 28.
    scale
        What similarities are multiplied by before the softmax over the concepts; these two alone. Default: 10 and 2.
    prior
        Weight of the concept's mean likelihood over all neurons (λ in the paper), which is taken away; these two alone.
        Default: 1 and 0.6.
    top_share
        Share of the images that "rank_reorder" looks at, which alone does. Default: 0.05.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range, or the similarity does not look at it.

    References
    ----------
    Oikarinen & Weng (2023), "CLIP-Dissect: Automatic Description of Neuron Representations in Deep Vision Networks".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explanations = CLIPDissectExplainer(n_top=30).explain(
    ...     planted.activations, planted.concepts, Split.random(500)
    ... )
    >>> explanations[0].measure.name
    'soft-WPMI'
    """

    compares_embeddings: ClassVar[bool] = True
    similarity: Similarity = "soft_wpmi"
    n_top: int | None = None
    scale: float | None = None
    prior: float | None = None
    top_share: float | None = None
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_choice("similarity", self.similarity, get_args(Similarity))
        looked_at = _KINDS[self.similarity].settings
        for name in ("n_top", "scale", "prior", "top_share"):
            if getattr(self, name) is not None and name not in looked_at:
                has = f"It has: {', '.join(looked_at)}." if looked_at else "It has no settings of its own."
                raise ValueError(
                    f"{name} is {getattr(self, name)}, and similarity '{self.similarity}' does not look at it. {has}"
                )
        check_whole("n_top", 1 if self.n_top is None else self.n_top, 1)
        check_within("scale", 1 if self.scale is None else self.scale, 1e-12, 1e12)
        check_at_least("prior", self.prior or 0, 0)
        check_within("top_share", 1 if self.top_share is None else self.top_share, 1e-12, 1)
        check_shared(self)

    def check(self, given: Given) -> None:
        """Raise ``ValueError`` if there are fewer training images than are looked at."""
        if "n_top" in _KINDS[self.similarity].settings:
            given.check_enough("n_top", int(self._value("n_top")))
        elif self.similarity == "rank_reorder" and self._n_share(given.n_train) < 2:
            raise ValueError(
                f"top_share is {self._value('top_share')}, which of {given.n_train} training images is less than 2. "
                "Nothing can be ordered: use a larger share, or more images."
            )

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by one concept.

        Compares and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts. Of equally active images not all of which are among the top ones,
        those that are spread evenly over the rows.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            There are fewer training images than are looked at; no concept varies over them; or ``usable`` is of other
            concepts.
        """
        self.check(Given.of(concepts, split))
        problem = Compared.of(self, activations, concepts, split, usable)
        ways: dict[str, Callable[[Compared], Tensor]] = {
            "soft_wpmi": self._information,
            "wpmi": self._information,
            "rank_reorder": self._reordering,
            "cos_similarity": _cosine,
            "cos_similarity_cubed": _cosine_cubed,
        }
        return problem.explain(partial(self._say, problem, ways[self.similarity]), self.n_groups)

    def _say(self, problem: Compared, way: Callable[[Compared], Tensor]) -> Said:
        return problem.best(way(problem), _KINDS[self.similarity].title)

    def _value(self, name: str) -> float:
        given = getattr(self, name)
        return _KINDS[self.similarity].settings[name] if given is None else given

    def _n_share(self, n_train: int) -> int:
        return int(self._value("top_share") * n_train)

    def _information(self, problem: Compared) -> Tensor:
        n_top = int(self._value("n_top"))
        first, last = _INSIDE if self.similarity == "soft_wpmi" else (1.0, 1.0)
        inside = first - np.arange(n_top) / n_top * (first - last)
        weighting = Weighting(inside, self._value("scale"), self._value("prior"))
        return torch.from_numpy(measure_information(problem.similar, top_rows(problem.active, n_top), weighting))

    def _reordering(self, problem: Compared) -> Tensor:
        top = top_rows(problem.active, self._n_share(len(problem.split.train)))
        values = np.take_along_axis(problem.active.to(torch.float64).T.numpy(), top, 1)
        found = [measure_reordering(values, strip.numpy(), top) for strip in problem.strips()]
        return torch.from_numpy(np.concatenate(found, 1))


def _cosine(problem: Compared) -> Tensor:
    return measure_cosines(partial(problem.pairs, problem.similar), centre=False)


def _cosine_cubed(problem: Compared) -> Tensor:
    pairs = partial(problem.pairs, problem.similar)
    return measure_cosines(pairs, centre=True, power=3, least_norm=_LEAST_NORM)
