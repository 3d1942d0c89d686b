"""Linear Explanations (LE), the paper's method: elastic net, then a search for a few terms, then least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.checks import (
    check_at_least,
    check_choice,
    check_device,
    check_same_images,
    check_whole,
    check_within,
    device_for_doubles,
)
from linexp.explainers.fit import Method, blocks
from linexp.explainers.once import Task
from linexp.explainers.stability import count_again
from linexp.explanations import DroppedConcept, Explanation, Explanations, FittedOn
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import (
    ColumnRange,
    Moments,
    measure_columns,
    search_greedy,
    search_greedy_nonzero,
    search_stepwise,
    search_swaps,
    search_top,
    solve_elastic_net,
    solve_elastic_net_batched,
)

Search = Literal["greedy", "greedy-nonzero", "stepwise", "swaps", "top"]


@dataclass(frozen=True)
class LinearExplainer:
    """Explain neurons as short weighted sums of concepts.

    Concepts too weak or constant on the training images are left out; both sides are standardised on the training
    images; a search picks a few concepts for each neuron, in the paper's searches among those that an elastic net
    ranks highest; least squares with a bias gives their weights. Everything is computed from means and covariances,
    for all neurons at once; what a neuron gets does not depend on its neighbours.

    Parameters
    ----------
    strength
        Weight of the elastic net's L1 penalty, 0 or more, beside half the mean squared error of standardised columns:
        λ·η/(2n) for the λ of Eq. 6, which stands beside the sum of n squares. 0.05 is what the released code runs with.
    l1_ratio
        Share of L1 in the penalty (η in the paper), above 0 and at most 1. η = 0, ridge regression, is impossible: it
        ranks concepts without leaving any out, and the L1 penalty is what ``strength`` is measured in.
    max_terms
        Most terms of an explanation (v in the paper).
    n_candidates
        Candidates tried for each term by the greedy searches (r in the paper).
    min_gain
        What a term, also the first, must be worth. "greedy" and "greedy-nonzero": validation correlation it must add (ε
        in the paper). "stepwise" and "swaps": correlation on other images that it must be expected to add.
    search
        "greedy": the paper's Algorithm 1 to the letter. "greedy-nonzero": the same, but concepts of weight zero are no
        candidates. "top": the ``max_terms`` largest elastic-net weights (Appendix B.4). "stepwise": each term by
        training fit over all concepts. "swaps": the best subset found by swapping terms, for what all concepts together
        can predict; gives the highest correlations on images nobody fitted on, and terms that are chosen again.
        In those that are not the paper's ("greedy-nonzero", "stepwise", "swaps") an explanation is "empty" unless its
        validation correlation is above one standard error, 1/√(n − 1) for n validation images.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out; with 0.5, of
        labels those of one or two training images. The paper does so for probabilities alone, its released code always.
    tolerance
        Largest duality gap of the elastic net, as a share of its objective without any term.
    n_shards
        Parts of the images left out, one at a time, to see how far weights and validation correlation move, the terms
        being given (``Term.error``, ``Explanation.val_error``). 0: none of that. 2 or more otherwise.
    n_repeats
        Random redraws of the images to fit on and to choose by, in each of which everything is done again, ranking and
        search, to see which terms are chosen again (``Term.kept``). 0: none of that. Each takes about as long as
        explaining does. No explanation depends on this setting, or on ``n_shards``.
    device
        Where moments and the elastic net are computed, such as "cuda" or "auto"; default: the CPU, also in place of
        MPS, which has no float64. Elsewhere results agree with those of the CPU but for rounding and the elastic net's
        tolerance.

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
    n_repeats: int = 10
    device: str | None = None

    def __post_init__(self) -> None:
        check_at_least("strength", self.strength, 0)
        check_within("l1_ratio", self.l1_ratio, 1e-12, 1)
        check_whole("max_terms", self.max_terms, 1)
        check_whole("n_candidates", self.n_candidates, 1)
        check_at_least("min_gain", self.min_gain, 0)
        check_choice("search", self.search, get_args(Search))
        check_within("min_activity", self.min_activity, 0, 1)
        check_at_least("tolerance", self.tolerance, 1e-15)
        check_whole("n_shards", self.n_shards, 2 if self.n_shards else 0)
        check_whole("n_repeats", self.n_repeats, 0)
        check_device(device_for_doubles(self.device or "cpu"))

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
            on the training images have the outcome "constant", neurons that no concept predicts "empty". Concepts that
            were left out are in ``dropped``, each with the reason.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            No concept is left after dropping the weak and the constant ones.

        Warns
        -----
        NotConvergedWarning
            The elastic net of some neurons did not reach ``tolerance``.
        """
        check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
        split.check(activations.n_images)
        columns = measure_columns(blocks(concepts, split.train))
        usable = self._check_usable(columns)
        task = Task(activations, concepts, self._method(), self._place)
        items = task.explain(split.train, split.val, usable, self.n_shards)
        if self.n_repeats:
            items = count_again(items, partial(self._explain_again, task), split.train, split.val, self.n_repeats)
        images = activations.images or concepts.images
        return Explanations(
            items,
            activations.layer,
            self._tell_dropped(concepts.names, columns, usable),
            fitted_on=None if images is None else FittedOn.of(split, images),
        )

    def _explain_again(self, task: Task, train: Tensor, val: Tensor) -> tuple[Explanation, ...]:
        """Explain with other images, if these leave a concept."""
        usable = self._find_usable(measure_columns(blocks(task.concepts, train)))
        return task.explain(train, val, usable, 0) if bool(usable.any()) else ()

    def find_usable(self, concepts: ConceptMatrix, split: Split) -> Bool[Tensor, " concepts"]:
        """Tell which concepts vary over the training images and are present enough in some of them.

        Raises
        ------
        ValueError
            None is.
        """
        return self._check_usable(measure_columns(blocks(concepts, split.train)))

    def _find_usable(self, columns: ColumnRange) -> Bool[Tensor, " concepts"]:
        return (columns.top_mean >= self.min_activity) & ~columns.is_constant

    def _check_usable(self, columns: ColumnRange) -> Bool[Tensor, " concepts"]:
        usable = self._find_usable(columns)
        if not bool(usable.any()):
            raise ValueError(
                f"None of the {len(usable)} concepts is left: each is constant on the training images, or the "
                f"mean of its five highest presences is below min_activity = {self.min_activity}. Use concepts that "
                "vary over these images, more images, or a lower min_activity."
            )
        return usable

    def _tell_dropped(
        self, names: Sequence[str], columns: ColumnRange, usable: Bool[Tensor, " concepts"]
    ) -> tuple[DroppedConcept, ...]:
        facts = zip(names, columns.is_constant.tolist(), columns.top_mean.tolist(), usable.tolist(), strict=True)
        return tuple(
            DroppedConcept(name, "constant" if constant else "weak", activity, float(self.min_activity))
            for name, constant, activity, kept in facts
            if not kept
        )

    @property
    def _place(self) -> torch.device:
        return torch.device(device_for_doubles(self.device or "cpu"))

    def _method(self) -> Method:
        """Return the search, with the elastic net's ranking where it needs one."""
        if self.search == "top":
            return Method(self._guide, partial(search_top, max_terms=self.max_terms))
        limits: dict[str, Any] = {"max_terms": self.max_terms, "min_gain": self.min_gain}
        if self.search in ("stepwise", "swaps"):
            return Method(None, partial(search_stepwise if self.search == "stepwise" else search_swaps, **limits))
        search = search_greedy if self.search == "greedy" else search_greedy_nonzero
        return Method(self._guide, partial(search, n_candidates=self.n_candidates, **limits))

    def _guide(self, train: Moments) -> NDArray[np.float64]:
        """Return the weights of the elastic net."""
        settings = {"strength": self.strength, "l1_ratio": self.l1_ratio, "tolerance": self.tolerance}
        moments = (train.gram, train.cross, train.neuron_variance)
        if _has_compiled(self._place):
            return solve_elastic_net(*(part.numpy() for part in moments), **settings).weights
        return solve_elastic_net_batched(*(part.to(self._place) for part in moments), **settings).weights


def _has_compiled(device: torch.device) -> bool:
    """Tell whether compiled loops run on the device."""
    return device.type == "cpu"
