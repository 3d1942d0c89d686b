"""Linear Explanations (LE), the paper's method: elastic net, then a search for a few terms, then least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._checks import check_at_least, check_choice, check_same_images, check_within
from linexp.explanation import Explanation, Explanations, Term
from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.solve import (
    Moments,
    Solution,
    accumulate_moments,
    measure_columns,
    search_greedy,
    search_top,
    solve_elastic_net,
)
from linexp.split import Split

Search = Literal["greedy", "top"]
_BLOCK_ROWS = 2048


@dataclass(frozen=True)
class LinearExplainer:
    """Explain neurons as short weighted sums of concepts.

    Concepts too rare or constant on the training images are left out; an elastic net on the remaining ones, both sides
    standardised on the training images, ranks them for each neuron; a search picks a few; least squares with a bias
    gives their weights. Everything is computed from means and covariances, for all neurons at once; what a neuron gets
    does not depend on its neighbours.

    Parameters
    ----------
    strength
        Weight of the elastic net's L1 penalty (λ in the paper), 0 or more.
    l1_ratio
        Share of L1 in the penalty (η in the paper), above 0 and at most 1.
    max_terms
        Most terms of an explanation (v in the paper).
    n_candidates
        Candidates tried for each term by the greedy search (r in the paper).
    min_gain
        Validation correlation each term after the first must add (ε in the paper).
    search
        "greedy": the paper's Algorithm 1. "top": the ``max_terms`` largest elastic-net weights (Appendix B.4).
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    tolerance
        Largest duality gap of the elastic net, as a share of its objective without any term.

    Raises
    ------
    ValueError
        A setting is outside its range.

    References
    ----------
    Oikarinen & Weng (2024), Sections 3.2, 5, A.3 and B.4.

    Examples
    --------
    >>> from linexp import Split, make_planted
    >>> planted = make_planted(n_images=500, noise=0.01)
    >>> explanations = LinearExplainer().explain(planted.activations, planted.concepts, Split.random(500))
    >>> set(explanations[0].concepts) == set(planted.terms(0))
    True
    """

    strength: float = 0.05
    l1_ratio: float = 0.99
    max_terms: int = 10
    n_candidates: int = 10
    min_gain: float = 0.02
    search: Search = "greedy"
    min_activity: float = 0.5
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_at_least("strength", self.strength, 0)
        check_within("l1_ratio", self.l1_ratio, 1e-12, 1)
        check_at_least("max_terms", self.max_terms, 1)
        check_at_least("n_candidates", self.n_candidates, 1)
        check_at_least("min_gain", self.min_gain, 0)
        check_choice("search", self.search, ("greedy", "top"))
        check_within("min_activity", self.min_activity, 0, 1)
        check_at_least("tolerance", self.tolerance, 1e-15)

    def explain(self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split) -> Explanations:
        """Explain every neuron of ``activations`` by ``concepts``.

        Fits on ``split.train``, chooses terms on ``split.val``, never looks at ``split.test``.

        Parameters
        ----------
        activations
            Recorded activations [images, neurons].
        concepts
            Presence of the concepts in the same images.
        split
            Which images are for what.

        Returns
        -------
        Explanations
            One per neuron. More terms asked for than concepts exist: at most one term per concept. Neurons constant
            on the training images have the outcome "constant", neurons that no concept predicts "empty".

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            No concept is left after dropping the rare and the constant ones.

        Warns
        -----
        NotConvergedWarning
            The elastic net of some neurons did not reach ``tolerance``.
        """
        check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
        split.check(activations.n_images)
        usable = self.find_usable(concepts, split)
        dead = measure_columns(_blocks(activations, split.train)).is_constant
        dropped = tuple(name for name, kept in zip(concepts.names, usable.tolist(), strict=True) if not kept)
        names = [name for name, kept in zip(concepts.names, usable.tolist(), strict=True) if kept]
        kept = concepts if len(names) == concepts.n_concepts else concepts.only(names)
        train = _measure(activations, kept, split.train, ~dead)
        val = _measure(activations, kept, split.val, ~dead)
        found = iter(self._explain_living(train, val, names))
        constants = activations.values[split.train[0]].to(torch.float64).tolist()
        items: list[Explanation] = []
        for column, neuron in enumerate(activations.neurons):
            if dead[column]:
                items.append(Explanation(neuron, (), constants[column], None, "constant"))
            else:
                items.append(_rename(next(found), neuron))
        return Explanations(tuple(items), activations.layer, dropped)

    def find_usable(self, concepts: ConceptMatrix, split: Split) -> Bool[Tensor, " concepts"]:
        """Tell which concepts vary over the training images and are present enough in some of them.

        Raises
        ------
        ValueError
            None is.
        """
        columns = measure_columns(_blocks(concepts, split.train))
        usable = (columns.top_mean >= self.min_activity) & ~columns.is_constant
        if not bool(usable.any()):
            raise ValueError(
                f"None of the {concepts.n_concepts} concepts is left: each is constant on the training images, or the "
                f"mean of its five highest presences is below min_activity = {self.min_activity}. Use concepts that "
                "vary over these images, more images, or a lower min_activity."
            )
        return usable

    def _explain_living(self, train: Moments, val: Moments, names: list[str]) -> list[Explanation]:
        """Explain the neurons that are not constant; they are numbered from 0 here."""
        concept_scale, neuron_scale = train.concept_variance.sqrt(), train.neuron_variance.sqrt()
        unit_train = train.standardise(concept_scale, neuron_scale)
        unit_val = val.standardise(concept_scale, neuron_scale)
        fit = solve_elastic_net(
            unit_train.gram.numpy(),
            unit_train.cross.numpy(),
            unit_train.neuron_variance.numpy(),
            strength=self.strength,
            l1_ratio=self.l1_ratio,
            tolerance=self.tolerance,
        )
        if self.search == "greedy":
            solution = search_greedy(
                unit_train,
                unit_val,
                fit.weights,
                max_terms=self.max_terms,
                n_candidates=self.n_candidates,
                min_gain=self.min_gain,
            )
        else:
            solution = search_top(unit_train, unit_val, fit.weights, max_terms=self.max_terms)
        return _in_words(solution, train, names)


def _blocks(matrix: ActivationMatrix | ConceptMatrix, rows: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield matrix.block(rows[start : start + _BLOCK_ROWS])


def _measure(activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor, living: Tensor) -> Moments:
    blocks = zip(_blocks(concepts, rows), _blocks(activations, rows), strict=True)
    return accumulate_moments((present, active[:, living]) for present, active in blocks)


def _in_words(solution: Solution, train: Moments, names: list[str]) -> list[Explanation]:
    """Turn column numbers and standardised weights into named terms in the neurons' own units."""
    concept_scale, concept_mean = train.concept_variance.sqrt().numpy(), train.concept_mean.numpy()
    neuron_scale, neuron_mean = train.neuron_variance.sqrt().tolist(), train.neuron_mean.tolist()
    found: list[Explanation] = []
    for neuron, (columns, scaled) in enumerate(zip(solution.concepts, solution.weights, strict=True)):
        used = columns[columns >= 0]
        weights = scaled[: len(used)] / concept_scale[used] * neuron_scale[neuron]
        bias = neuron_mean[neuron] - float(weights @ concept_mean[used])
        order = np.argsort(-weights, kind="stable")
        terms = tuple(Term(names[used[place]], float(weights[place])) for place in order)
        value = float(solution.val_correlation[neuron])
        outcome = "explained" if terms else "empty"
        found.append(Explanation(neuron, terms, bias, None if np.isnan(value) else value, outcome))
    return found


def _rename(explanation: Explanation, neuron: int) -> Explanation:
    return Explanation(neuron, explanation.terms, explanation.bias, explanation.val_correlation, explanation.outcome)
