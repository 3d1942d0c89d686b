"""FALCON: words of the images that neurons are highly active on, less those of images that nearly are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._internal.checks import check_at_least, check_whole, check_within
from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.needs import Given
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations, Measure
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split
from linexp.solve import Contrast, find_contrast, normalise_rows, score_words

# Of labels, an absent one has e⁻¹⁰⁰ of the score of a present one: it is no word of the image.
_LEAST_SCORE = 1e-6
Groups = Sequence[Sequence[int]]


@dataclass(frozen=True)
class FalconExplainer:
    """Explain neurons, alone or in groups, by words of their images that lowly activating images lack (FALCON).

    Each image's activations, of the whole layer, are brought to length 1. A neuron is highly active where it is
    ``n_deviations`` above the mean of all of them. Contrasted with these images are those in which it is below that
    mean although the others are alike. An image's words are the most similar concepts, scored by a softmax; the terms
    are those with the highest mean score that the contrasted images do not have. Weights and bias are least squares on
    the training images. In place of the paper's captions the concepts themselves are the words, and in place of its
    crops whole images are looked at.

    Parameters
    ----------
    n_deviations
        Standard deviations above the mean at which a neuron is highly active.
    min_images
        Fewest images that a neuron or a group must be highly active on; otherwise it is "empty".
    n_low
        Most images that these are contrasted with.
    low_alike
        How alike, at least, the other activations must be to their mean in the highly activating images.
    scale
        What similarities are multiplied by before the softmax over the concepts.
    n_words
        Most similar concepts of an image that count; those equal to the last count too.
    low_score
        Concepts with at least this score in the contrasted images are left out.
    max_terms
        Most terms of an explanation.
    min_alike
        Least mean cosine of the highly activating images with each other (0.8 in the paper, of crops, by CLIP), for
        which the concepts must be embeddings; default: any.
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
    Kalibhat, Bhardwaj, Bruss, Firooz, Sanjabi & Feizi (2023), "Identifying Interpretable Subspaces in Image
    Representations".

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, n_terms=1, noise=0.01)
    >>> explainer = FalconExplainer(n_deviations=2)
    >>> explanations = explainer.explain(planted.activations, planted.concepts, Split.random(500))
    >>> explanations[0].outcome
    'explained'
    """

    compares_embeddings: ClassVar[bool] = True
    n_deviations: float = 5.0
    min_images: int = 11
    n_low: int = 10
    low_alike: float = 0.3
    scale: float = 100.0
    n_words: int = 5
    low_score: float = 0.1
    max_terms: int = 8
    min_alike: float | None = None
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        for name in ("min_images", "n_words", "max_terms"):
            check_whole(name, getattr(self, name), 1)
        check_whole("n_low", self.n_low, 0)
        check_within("scale", self.scale, 1e-12, 1e12)
        check_within("low_score", self.low_score, 0, 1)
        check_within("low_alike", self.low_alike, -1, 1)
        check_within("min_alike", self.min_alike or 0, -1, 1)
        check_at_least("n_deviations", self.n_deviations, 0)
        check_shared(self)

    def check(self, given: Given) -> None:
        """Raise ``ValueError`` if images are to be alike and the concepts have no embeddings to tell it by."""
        if self.min_alike is not None and not given.embedded:
            raise ValueError(
                f"min_alike is {self.min_alike}, and {given.concepts} are columns without embeddings to compare images "
                "by. Leave it out, or describe the images with le.TextConcepts."
            )

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron by itself; one that is highly active on too few images is "empty".

        Looks at and fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts. All neurons take part in what one gets: explain whole layers.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            ``min_alike`` is set and the concepts have no embeddings; no concept varies over the training images; or
            ``usable`` is of other concepts.
        """
        self.check(Given.of(concepts, split))
        problem = Compared.of(self, activations, concepts, split, usable)
        members = [[place] for place in torch.nonzero(problem.living).flatten().tolist()]
        return problem.explain(partial(self._say, problem, activations, members), self.n_groups)

    def find_groups(self, activations: ActivationMatrix, split: Split) -> tuple[tuple[int, ...], ...]:
        """Find the groups of neurons that are together, and without others, highly active on enough training images.

        The group of the most images comes first.
        """
        rows, mean, deviation = normalise_rows(activations.block(split.train))
        high = rows >= mean + self.n_deviations * deviation
        kinds, counts = high.unique(dim=0, return_counts=True)
        order = torch.argsort(counts, descending=True, stable=True).tolist()
        kept = [kinds[kind] for kind in order if bool(kinds[kind].any()) and int(counts[kind]) >= self.min_images]
        return tuple(
            tuple(n for n, one in zip(activations.neurons, kind.tolist(), strict=True) if one) for kind in kept
        )

    def explain_groups(
        self,
        groups: Groups,
        activations: ActivationMatrix,
        concepts: ConceptMatrix,
        split: Split,
        *,
        usable: Usable | None = None,
    ) -> Explanations:
        """Explain groups of neurons, numbered from 0, by the images on which all of a group are highly active.

        What is predicted is the group's activation, see ``group_activations``.

        Raises
        ------
        ValueError
            A group is empty or names a neuron that was not recorded; or what ``explain`` raises it for.
        """
        self.check(Given.of(concepts, split))
        together = self.group_activations(groups, activations, split)
        problem = Compared.of(self, together, concepts, split, usable)
        place = {neuron: column for column, neuron in enumerate(activations.neurons)}
        alive = zip(groups, problem.living.tolist(), strict=True)
        members = [[place[neuron] for neuron in group] for group, is_living in alive if is_living]
        return problem.explain(partial(self._say, problem, activations, members), self.n_groups)

    def group_activations(self, groups: Groups, activations: ActivationMatrix, split: Split) -> ActivationMatrix:
        """Return the activation of each group: the mean of its members, each in its standard deviations from its mean.

        Both are those of the training images. Groups are numbered from 0, and their layer is called "(groups)".
        """
        if not groups or not all(groups):
            raise ValueError("A group has no neurons. Give at least one group, and each at least one neuron.")
        columns: list[Tensor] = []
        for group in groups:
            values = activations.select(group).values.to(torch.float64)
            train = values[split.train]
            deviation = train.std(0, correction=0)
            columns.append(((values - train.mean(0)) / torch.where(deviation > 0, deviation, 1.0)).mean(1))
        layer = f"{activations.layer} (groups)".strip()
        return ActivationMatrix(torch.stack(columns, 1), None, layer, activations.images)

    def _say(self, problem: Compared, activations: ActivationMatrix, members: list[list[int]]) -> Said:
        contrast = find_contrast(
            activations.block(problem.split.train), members, self.n_deviations, self.n_low, self.low_alike
        )
        enough = contrast.high.sum(0) >= self.min_images
        if self.min_alike is not None:
            enough &= _alike(problem, contrast.high) >= self.min_alike
        kept = Contrast(contrast.high & enough, contrast.low & enough)
        high, low = score_words(problem.similar, kept, self.scale, self.n_words)
        scores = high.where((high > _LEAST_SCORE) & (low < self.low_score), -torch.inf)
        best, places = scores.topk(min(self.max_terms, scores.shape[1]), 1)
        said = [
            [problem.names[place] for place, value in zip(*pair, strict=True) if value > 0]
            for pair in zip(places.tolist(), best.tolist(), strict=True)
        ]
        return said, [
            Measure("FALCON score", value) if some else None
            for value, some in zip(best[:, 0].tolist(), said, strict=True)
        ]


def _alike(problem: Compared, high: Bool[Tensor, "rows members"]) -> Tensor:
    """Return the mean cosine of each group's images with each other; −1 where there are fewer than two."""
    vectors = problem.kept
    assert isinstance(vectors, EmbeddedConceptMatrix)  # checked before
    total = torch.stack(
        [vectors.image_embeddings[problem.split.train[column]].sum(0, dtype=torch.float64) for column in high.T]
    )
    n = high.sum(0).to(torch.float64)
    return ((total.square().sum(1) - n) / (n * (n - 1))).where(n > 1, -1.0)
