"""Linear Explanations (LE), the paper's method: elastic net, then a search for a few terms, then least squares."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._checks import check_at_least, check_choice, check_same_images, check_within
from linexp.explain.words import in_words
from linexp.explanation import Explanation, Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.solve import (
    Moments,
    Solution,
    accumulate_moments,
    jackknife,
    measure_columns,
    search_greedy,
    search_stepwise,
    search_swaps,
    search_top,
    solve_elastic_net,
)
from linexp.split import Split

Search = Literal["greedy", "stepwise", "swaps", "top"]
_BLOCK_ROWS = 2048
# Moments of all shards are kept at once, if they take no more than so many bytes.
_MOST_FOR_SHARDS = 2**31


@dataclass(frozen=True)
class LinearExplainer:
    """Explain neurons as short weighted sums of concepts.

    Concepts too rare or constant on the training images are left out; both sides are standardised on the training
    images; a search picks a few concepts for each neuron, in the paper's searches among those that an elastic net
    ranks highest; least squares with a bias gives their weights. Everything is computed from means and covariances,
    for all neurons at once; what a neuron gets does not depend on its neighbours.

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
        What a term must be worth. "greedy": validation correlation each term after the first must add (ε in the paper).
        "stepwise" and "swaps": correlation on other images that each term, also the first, must be expected to add.
    search
        "greedy": the paper's Algorithm 1. "top": the ``max_terms`` largest elastic-net weights (Appendix B.4).
        "stepwise": each term by training fit over all concepts. "swaps": the best subset found by swapping terms, for
        what all concepts together can predict; gives the highest correlations on images nobody fitted on.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    tolerance
        Largest duality gap of the elastic net, as a share of its objective without any term.
    n_shards
        Parts of the images left out, one at a time, to see how far weights and validation correlation move and which
        terms are chosen again (``Term.error``, ``Term.kept``, ``Explanation.val_error``); the ranking of the
        elastic net is kept. 0: none of that. 2 or more otherwise.

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
    n_shards: int = 20

    def __post_init__(self) -> None:
        check_at_least("strength", self.strength, 0)
        check_within("l1_ratio", self.l1_ratio, 1e-12, 1)
        check_at_least("max_terms", self.max_terms, 1)
        check_at_least("n_candidates", self.n_candidates, 1)
        check_at_least("min_gain", self.min_gain, 0)
        check_choice("search", self.search, get_args(Search))
        check_within("min_activity", self.min_activity, 0, 1)
        check_at_least("tolerance", self.tolerance, 1e-15)
        check_at_least("n_shards", self.n_shards, 2 if self.n_shards else 0)

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
        if self._shards_take(len(names)) > _MOST_FOR_SHARDS:
            warnings.warn(
                f"The moments of {self.n_shards} shards of {len(names):,} concepts would take "
                f"{self._shards_take(len(names)) / 2**30:.0f} GiB, so no standard errors are computed. "
                "Use fewer concepts or shards, or n_shards=0.",
                UserWarning,
                stacklevel=2,
            )
        kept = concepts if len(names) == concepts.n_concepts else concepts.only(names)
        train, val = (self._measure(activations, kept, rows, ~dead, split) for rows in (split.train, split.val))
        found = iter(self._explain_living(train, val, names))
        constants = activations.values[split.train[0]].to(torch.float64).tolist()
        items: list[Explanation] = []
        for column, neuron in enumerate(activations.neurons):
            if dead[column]:
                items.append(Explanation(neuron, (), constants[column], None, "constant"))
            else:
                items.append(replace(next(found), neuron=neuron))
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

    def _measure(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor, living: Tensor, split: Split
    ) -> list[Moments]:
        """Return the moments of some rows, in as many shards as are to be left out, or in one."""
        n_shards = min(self.n_shards, len(split.train), len(split.val))
        if self._shards_take(concepts.n_concepts) > _MOST_FOR_SHARDS:
            n_shards = 1
        n_shards = max(n_shards, 1)
        # With a stride, so that rows sorted by class are spread over all shards.
        return [_measure(activations, concepts, rows[start::n_shards], living) for start in range(n_shards)]

    def _shards_take(self, n_concepts: int) -> int:
        """Return the bytes that the moments of all shards take, twice over while they are put together."""
        return 4 * self.n_shards * n_concepts**2 * 8

    def _explain_living(self, train: list[Moments], val: list[Moments], names: list[str]) -> list[Explanation]:
        """Explain the neurons that are not constant; they are numbered from 0 here."""
        whole = reduce(Moments.merge, train)
        scales = whole.concept_variance.sqrt(), whole.neuron_variance.sqrt()
        unit_train, unit_val = ([part.standardise(*scales) for part in parts] for parts in (train, val))
        together = [reduce(Moments.merge, parts) for parts in (unit_train, unit_val)]
        search = self._choose_search(together[0])
        solution = search(*together)
        errors = jackknife(unit_train, unit_val, solution, search) if len(train) > 1 else None
        return in_words(solution, whole, names, errors)

    def _choose_search(self, train: Moments) -> Callable[[Moments, Moments], Solution]:
        """Return the search, with the elastic net's ranking where it needs one."""
        if self.search == "stepwise":
            return partial(search_stepwise, max_terms=self.max_terms, min_gain=self.min_gain)
        if self.search == "swaps":
            return partial(search_swaps, max_terms=self.max_terms, min_gain=self.min_gain)
        guide = solve_elastic_net(
            train.gram.numpy(),
            train.cross.numpy(),
            train.neuron_variance.numpy(),
            strength=self.strength,
            l1_ratio=self.l1_ratio,
            tolerance=self.tolerance,
        ).weights
        if self.search == "top":
            return partial(search_top, guide=guide, max_terms=self.max_terms)
        return partial(
            search_greedy,
            guide=guide,
            max_terms=self.max_terms,
            n_candidates=self.n_candidates,
            min_gain=self.min_gain,
        )


def _blocks(matrix: ActivationMatrix | ConceptMatrix, rows: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield matrix.block(rows[start : start + _BLOCK_ROWS])


def _measure(activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor, living: Tensor) -> Moments:
    blocks = zip(_blocks(concepts, rows), _blocks(activations, rows), strict=True)
    return accumulate_moments((present, active[:, living]) for present, active in blocks)
