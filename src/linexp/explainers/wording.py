"""Terms that people can accept: no two words for one thing, and of words that do as well the more usual one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray

from linexp._internal.checks import check_choice, check_within
from linexp._internal.compiled import Indices
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix
from linexp.solve import Moments, Sign, Solution, fit_terms, merge_alike, prefer_words

Prefer = Literal["best", "common", "general"]


class Settled(NamedTuple):
    """Terms as they are worded, and for each neuron which other concepts each stands for."""

    solution: Solution
    merged: Sequence[Mapping[int, Sequence[int]]] = ()


@dataclass(frozen=True)
class Wording:
    """How terms that were found are worded: the settings ``same`` and ``prefer`` of ``LinearExplainer``."""

    same: float | None = None
    prefer: Prefer = "best"
    sign: Sign = "any"

    def check(self) -> None:
        """Raise ``ValueError`` if a setting is outside its range."""
        if self.same is not None:
            check_within("same", self.same, 0, 1)
        check_choice("prefer", self.prefer, get_args(Prefer))

    def settle(self, train: Moments, val: Moments, found: Solution, concepts: ConceptMatrix) -> Settled:
        """Word what was found, and fit the weights again; neurons of which nothing changes keep theirs."""
        wanted = found.concepts
        if self.prefer != "best":
            better, together = _Preference(self.prefer, concepts.names), train.merge(val)
            wanted = prefer_words(together, found, better, positive=self.sign == "positive")
        merged: Sequence[Mapping[int, Sequence[int]]] = ()
        if self.same is not None:
            wanted, merged = merge_alike(train, wanted, _Likeness(concepts, self.same))
        return Settled(_fit_changed(train, val, found, wanted, self.sign), merged)


def _fit_changed(train: Moments, val: Moments, found: Solution, wanted: Indices, sign: Sign) -> Solution:
    """Fit the wanted concepts where they are others than those found."""
    changed = (wanted != found.concepts).any(1)
    if not changed.any():
        return found
    fitted = fit_terms(train, val, wanted, sign)
    return Solution(
        np.where(changed[:, None], fitted.concepts, found.concepts),
        np.where(changed[:, None], fitted.weights, found.weights),
        np.where(changed, fitted.val_correlation, found.val_correlation),
    )


class _Likeness:
    """Which concepts mean the same: their embeddings, or else their places in WordNet, are at least so alike."""

    def __init__(self, concepts: ConceptMatrix, limit: float) -> None:
        from linexp.concepts.vocabulary import kinds

        self._concepts, self._limit = concepts, limit
        self._above = {} if isinstance(concepts, EmbeddedConceptMatrix) else kinds(concepts.names)

    def __call__(self, some: Indices) -> Bool[NDArray[np.bool_], "terms terms"]:
        if isinstance(self._concepts, EmbeddedConceptMatrix):
            vectors = self._concepts.text_embeddings[torch.from_numpy(some)].double()
            return (vectors @ vectors.T).numpy() >= self._limit
        names = [self._concepts.names[place] for place in some.tolist()]
        above = np.array([[self._above.get(low, {}).get(high, 0.0) for high in names] for low in names])
        return np.maximum(above, above.T).reshape(len(names), len(names)) >= self._limit


class _Preference:
    """Which concepts are preferred to one: those more common, or those it is a kind of, by rank."""

    def __init__(self, prefer: Prefer, names: tuple[str, ...]) -> None:
        from linexp.concepts.vocabulary import commonness, kinds

        place = {name: number for number, name in enumerate(names)}
        self._names = names
        self._common = {place[name]: rank for name, rank in commonness(names).items()} if prefer == "common" else {}
        above = kinds(names) if prefer == "general" else {}
        self._above = {place[name]: {place[high]: alike for high, alike in of.items()} for name, of in above.items()}

    def __call__(self, concept: int) -> dict[int, float]:
        if self._common:
            own = self._common.get(concept, len(self._common) + max(self._common.values()))
            return {other: rank for other, rank in self._common.items() if rank < own}
        return self._above.get(concept, {})
