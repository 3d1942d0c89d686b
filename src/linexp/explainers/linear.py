"""Linear Explanations (LE), the paper's method: elastic net, then a search for a few terms, then least squares."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._internal.checks import (
    check_choice,
    check_device,
    check_same_images,
    check_whole,
    check_within,
    device_for_doubles,
)
from linexp._internal.compiled import Indices
from linexp._internal.renamed import renamed
from linexp.explainers.left_out import leave_out
from linexp.explainers.once import Task
from linexp.explainers.searches import SEARCH_SETTINGS, SEARCHES, Search, SearchName, check_search
from linexp.explainers.stability import count_again
from linexp.explainers.usable import Usable, find_usable, measure_presence, usable_columns
from linexp.explainers.wording import Prefer, Wording
from linexp.explanations import Explanations, FittedOn
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import Sign


@renamed("n_shards", "n_groups")
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
        Or an object: ``Greedy(...)``, ``GreedyNonzero(...)``, ``Stepwise(...)``, ``Swaps(...)``, ``Top(...)``, which
        has the settings that this search looks at; those here then keep their defaults.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out; with 0.5, of
        labels those of one or two training images. The paper does so for probabilities alone, its released code always.
    tolerance
        Largest duality gap of the elastic net, as a share of its objective without any term.
    n_groups
        Groups of images left out, one at a time (a delete-a-group jackknife), to see how far weights and validation
        correlation move, the terms being given (``Term.error``, ``Explanation.val_error``). 0: none of that. 2 or more
        otherwise.
    n_repeats
        Random redraws of the images to fit on and to choose by, in each of which everything is done again, ranking and
        search, to see which terms are chosen again (``Term.kept``). 0: none of that. Each takes about as long as
        explaining does. No explanation depends on this setting, or on ``n_groups``.
    device
        Where moments and the elastic net are computed, such as "cuda" or "auto"; default: the CPU, also in place of
        MPS, which has no float64. Elsewhere results agree with those of the CPU but for rounding and the elastic net's
        tolerance.
    sign
        "any", or "positive": only weights above 0, so that every term says what makes the neuron active. Exact in every
        search: what is fitted is nonnegative least squares, and sets of terms in which a weight would fall below 0 are
        never chosen.
    same
        From which likeness on, from 0 to 1, two concepts mean the same: of words the cosine of their embeddings, of
        labels and groups, where one is above the other in WordNet, 2·d/(d + e) for their depths d and e (Wu & Palmer).
        Of such terms the one that explains more stays, and lists the others (``Term.synonyms``). Default: none do.
    prefer
        "best": terms are the concepts that explain most. "common": each gives way to the most common noun, by the order
        of the vocabulary "nouns", with which the correlation on training and validation images falls by no more than
        the standard error of the difference. "general": the same, to the most general concept that WordNet has above
        it. Words that these lists do not know are never preferred.
    min_kept
        Terms of smaller ``Term.kept`` are left out, and the weights of the others fitted anew; 0: none are. What is
        below a half is marked where explanations are shown.

    Raises
    ------
    ValueError
        A setting is outside its range, or one of the search is given here although ``search`` has its own.

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
    search: SearchName | Search = "greedy"
    min_activity: float = 0.5
    tolerance: float = 1e-6
    n_groups: int = 20
    n_repeats: int = 10
    device: str | None = None
    sign: Sign = "any"
    same: float | None = None
    prefer: Prefer = "best"
    min_kept: float = 0.0

    def __post_init__(self) -> None:
        check_search(self)
        self._wording.check()
        check_within("min_kept", self.min_kept, 0, 1)
        if self.min_kept and not self.n_repeats:
            raise ValueError(
                f"min_kept is {self.min_kept}, but without redraws (n_repeats=0) nobody knows which terms are chosen "
                "again. Set n_repeats=10, or min_kept=0."
            )
        if isinstance(self.search, str):
            check_choice("search", self.search, get_args(SearchName))
        else:
            self._check_own(self.search)
        check_within("min_activity", self.min_activity, 0, 1)
        check_whole("n_groups", self.n_groups, 2 if self.n_groups else 0)
        check_whole("n_repeats", self.n_repeats, 0)
        check_device(device_for_doubles(self.device or "cpu"))

    def _check_own(self, search: Search) -> None:
        """Raise ``ValueError`` if settings beside a search with settings of its own would be ignored."""
        for field in fields(self):
            if field.name in SEARCH_SETTINGS and getattr(self, field.name) != field.default:
                kind, given = type(search).__name__, f"{field.name}={getattr(self, field.name)}"
                has = field.name in {own.name for own in fields(search)}
                remedy = f"Give it there: {kind}({given})." if has else f"{kind} does not look at it; leave it out."
                raise ValueError(f"{given} is set beside search={search}, which has settings of its own. {remedy}")

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
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
        usable
            What ``find_usable`` found in these concepts, where several layers are explained by them. Default: it is
            found anew.

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
            No concept is left after dropping the weak and the constant ones; or ``usable`` is of other ones.

        Warns
        -----
        NotConvergedWarning
            The elastic net of some neurons did not reach ``tolerance``.
        """
        check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
        split.check(activations.n_images)
        if usable is None:
            usable = find_usable(concepts, split, self.min_activity)
        usable.check(concepts, split, self.min_activity)
        method = self._search.method(self._place)
        task = Task(activations, concepts, replace(method, wording=self._wording), self._place)
        items = task.explain(split.train, split.val, usable.columns, self.n_groups)
        if self.n_repeats:
            choose = partial(self._choose_again, task)
            items = count_again(
                items, concepts.names, choose, split.train, split.val, self.n_repeats, activations.regions
            )
        if self.min_kept:
            items = leave_out(items, task, split, usable.columns, self.n_groups, self.min_kept, self._wording.sign)
        images = activations.images or concepts.images
        fitted_on = None if images is None else FittedOn.of(split, images)
        return Explanations(items, activations.layer, usable.dropped, fitted_on=fitted_on)

    def _choose_again(self, task: Task, train: Tensor, val: Tensor) -> Indices | None:
        """Choose terms by other images, if these leave a concept."""
        usable = usable_columns(measure_presence(task.concepts, train), self.min_activity)
        return task.choose(train, val, usable) if bool(usable.any()) else None

    def find_usable(self, concepts: ConceptMatrix, split: Split) -> Bool[Tensor, " concepts"]:
        """Tell which concepts take part; see ``linexp.explainers.find_usable``, which also says why others do not."""
        return find_usable(concepts, split, self.min_activity).columns

    @property
    def _place(self) -> torch.device:
        return torch.device(device_for_doubles(self.device or "cpu"))

    @property
    def _wording(self) -> Wording:
        """Return how terms are worded; the sign is the search's."""
        return Wording(self.same, self.prefer, self.sign if isinstance(self.search, str) else self.search.sign)

    @property
    def _search(self) -> Search:
        """Return the search as an object; the flat settings are those it has."""
        if not isinstance(self.search, str):
            return self.search
        kind = SEARCHES[self.search]
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})
