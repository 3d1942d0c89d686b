"""Other neurons' explanations: the control that must score about 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from linexp._internal.checks import check_whole
from linexp.explainers.base import Explainer
from linexp.explainers.correlations import correlate
from linexp.explainers.linear import LinearExplainer
from linexp.explainers.usable import Usable
from linexp.explanations import Explanation, Explanations, Term, simulate
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split

Sizes = Mapping[int, tuple[float, float]]
"""Mean and standard deviation of each neuron."""
_LINEAR = LinearExplainer(n_repeats=0)


@dataclass(frozen=True)
class OthersExplainer:
    """Explain each neuron by what another method says of another neuron, drawn by lot.

    What it says is brought to the neuron's mean and standard deviation and is otherwise left as it is, signs included:
    fitted anew it would be an explanation. A score of it that is not about 0 is what the method and the judge find in
    every neuron alike.

    Parameters
    ----------
    explainer
        The other method.
    seed
        Decides the lots.

    Raises
    ------
    ValueError
        The seed is below 0.

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500)
    >>> explanations = OthersExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> abs(explanations.mean_val_correlation) < 0.3
    True
    """

    explainer: Explainer = _LINEAR
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, 0)

    @property
    def min_activity(self) -> float:
        """That of the other method."""
        return self.explainer.min_activity

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every neuron that the other method explains; there must be two of them, or they are "empty".

        Fits on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is what
        ``find_usable`` found in these concepts.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            Whatever the other method raises it for.
        """
        found = self.explainer.explain(activations, concepts, split, usable=usable)
        explained = [item.neuron for item in found if item.outcome == "explained"]
        lots = np.random.default_rng(self.seed).permutation(len(explained)).tolist()
        # Each gets that of the next in a random circle: always another one's, and everybody's goes to somebody.
        giver = {explained[lots[place - 1]]: explained[lot] for place, lot in enumerate(lots) if len(lots) > 1}
        sizes = _sizes(activations, split.train)
        items = tuple(
            item if item.outcome == "constant" else _moved(item.neuron, found, giver.get(item.neuron), sizes)
            for item in found
        )
        moved = replace(found, items=items)
        known = correlate(simulate(moved, concepts).block(split.val), activations.block(split.val))
        items = tuple(
            replace(item, val_correlation=value if item.terms else None)
            for item, value in zip(items, known, strict=True)
        )
        return replace(moved, items=items)


def _sizes(activations: ActivationMatrix, rows: Tensor) -> Sizes:
    """Return each neuron's mean and standard deviation on some images, column by column."""
    columns = activations.block(rows).T.to(torch.float64)
    pairs = [(float(column.mean()), float(column.std(correction=0))) for column in columns]
    return dict(zip(activations.neurons, pairs, strict=True))


def _moved(neuron: int, found: Explanations, giver: int | None, sizes: Sizes) -> Explanation:
    """Return what is said of the giver as if it were said of the neuron, in its units."""
    mean, deviation = sizes[neuron]
    if giver is None:
        return Explanation(neuron, (), mean, None, "empty")
    scale = deviation / sizes[giver][1]
    terms = tuple(Term(term.concept, scale * term.weight) for term in found[giver].terms)
    return Explanation(neuron, terms, mean + scale * (found[giver].bias - sizes[giver][0]))
