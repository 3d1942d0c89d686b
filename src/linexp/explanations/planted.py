"""Problems whose true explanations are known, for documentation, tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.checks import check_at_least, check_choice, check_within
from linexp.explanations.explanation import Explanation, Term
from linexp.explanations.formula import Concept, Formula
from linexp.explanations.layer import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix

Kind = Literal["sum", "single", "or", "and", "and-not"]
_TERMS: dict[Kind, int] = {"sum": 3, "single": 1, "or": 2, "and": 2, "and-not": 2}
# Of fewer images nobody could tell whether a formula holds, or needs all of its concepts.
_LEAST_SHARE = 0.01
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Planted:
    """A made-up layer and the truth about it.

    Parameters
    ----------
    activations
        What the truth predicts, plus noise; with a threshold what lies above it.
    concepts
        Presence of the concepts, 0 or 1.
    truth
        The true explanations, before noise and threshold: sums of concepts, or one concept or formula each.
    """

    activations: ActivationMatrix
    concepts: ConceptMatrix
    truth: Explanations

    def terms(self, neuron: int) -> dict[Concept, float]:
        """Return the true concepts of one neuron with their weights, largest weight first."""
        return {term.concept: term.weight for term in self.truth[neuron].terms}

    @cached_property
    def weights(self) -> Float[Tensor, "concepts neurons"]:
        """True weights of the concepts; zero where one plays no part, or only within a formula."""
        place = {name: row for row, name in enumerate(self.concepts.names)}
        weights = torch.zeros(len(place), len(self.truth), dtype=torch.float64)
        for neuron, item in enumerate(self.truth):
            for term in item.terms:
                if isinstance(term.concept, str):
                    weights[place[term.concept], neuron] = term.weight
        return weights

    @cached_property
    def bias(self) -> Float[Tensor, " neurons"]:
        """True activation where no concept or formula of the neuron holds."""
        return torch.tensor([item.bias for item in self.truth], dtype=torch.float64)


def make_planted(
    n_images: int = 1000,
    n_concepts: int = 40,
    n_neurons: int = 16,
    n_terms: int | None = None,
    noise: float = 0.1,
    seed: int = 0,
    *,
    kind: Kind = "sum",
    threshold: float | None = None,
) -> Planted:
    """Make a layer whose neurons are known sums or formulas of concepts.

    Each concept is present in 5 to 50 % of the images, independently. Each neuron is the sum of ``n_terms`` random
    concepts with weights from 1 to 3, or rises by a weight from 1 to 3 where a formula of so many concepts holds, plus
    a bias from -1 to 1 and normal noise. A formula holds in at least 1 % of the images and does not in as many, and
    without any one of its concepts it would say something else of as many.

    Parameters
    ----------
    n_images, n_concepts, n_neurons
        Sizes.
    n_terms
        True number of concepts per neuron, at most ``n_concepts``; 0 gives sums of nothing, neurons of noise alone.
        Default: 3 for sums, 1 for "single", 2 for the others.
    noise
        Standard deviation of the noise, in units of activation; sums have one of about 1, and a formula makes a
        difference of 1 to 3.
    seed
        Seed of everything random here.
    kind
        "sum"; "single": one concept; "or"; "and"; "and-not": the first concept and none of the others.
    threshold
        What lies below it becomes 0, and the rest what it lies above, as behind a ReLU, the noise included. Default:
        activations are left as they are.

    Raises
    ------
    ValueError
        A size is below 1, ``n_terms`` exceeds ``n_concepts`` or does not go with the kind, there is no such kind,
        ``noise`` is negative, ``threshold`` is not finite; or no formula of so many concepts holds in enough images.

    Examples
    --------
    >>> planted = make_planted(n_images=200, n_terms=2)
    >>> len(planted.terms(0))
    2
    >>> logical = make_planted(n_images=200, kind="and-not", threshold=1.0)
    >>> [term.concept for term in logical.truth[0].terms]
    [Formula.parse('concept 14 AND NOT concept 26')]
    """
    for name, size in (("n_images", n_images), ("n_concepts", n_concepts), ("n_neurons", n_neurons)):
        check_at_least(name, size, 1)
    check_at_least("noise", noise, 0)
    check_choice("kind", kind, get_args(Kind))
    check_within("threshold", 0 if threshold is None else threshold, -1e12, 1e12)
    n_terms = _TERMS[kind] if n_terms is None else n_terms
    _check_terms(n_terms, n_concepts, kind)
    rng = np.random.default_rng(seed)
    present = (rng.random((n_images, n_concepts)) < rng.uniform(0.05, 0.5, n_concepts)).astype(np.float32)
    drawn = [_draw(rng, present > 0, n_terms, kind) for _ in range(n_neurons)]
    bias = rng.uniform(-1, 1, n_neurons)
    values = _signal(present, drawn, kind) + bias + noise * rng.standard_normal((n_images, n_neurons))
    if threshold is not None:
        values = np.maximum(values - threshold, 0)
    concepts = ConceptMatrix(present, [f"concept {column}" for column in range(n_concepts)])
    items = (
        _truth(neuron, concepts.names, *one, float(level), kind)
        for neuron, (one, level) in enumerate(zip(drawn, bias, strict=True))
    )
    return Planted(ActivationMatrix(values, layer="planted"), concepts, Explanations(tuple(items), "planted"))


_Drawn = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Columns and weights of a neuron: a weight for each column of a sum, one of a formula."""


def _check_terms(n_terms: int, n_concepts: int, kind: Kind) -> None:
    check_at_least("n_terms", n_terms, 0)
    if n_terms > n_concepts:
        raise ValueError(f"n_terms is {n_terms} but there are only {n_concepts} concepts. Ask for fewer terms.")
    if kind != "sum" and (n_terms != 1 if kind == "single" else n_terms < 2):
        wanted = "1 term" if kind == "single" else "2 terms or more"
        raise ValueError(f"n_terms is {n_terms}, and a neuron of kind '{kind}' has {wanted}. Leave it out, or say so.")


def _draw(rng: np.random.Generator, present: NDArray[np.bool_], n_terms: int, kind: Kind) -> _Drawn:
    """Draw concepts of a neuron and their weights, or the one of their formula."""
    n_concepts = present.shape[1]
    if kind == "sum":
        return rng.choice(n_concepts, n_terms, replace=False), rng.uniform(1, 3, n_terms)
    for _ in range(_DRAWS):
        chosen = rng.choice(n_concepts, n_terms, replace=False)
        if _all_matter(present[:, chosen], kind):
            return chosen, rng.uniform(1, 3, 1)
    raise ValueError(
        f"None of {_DRAWS} formulas ('{kind}') of {n_terms} of the {n_concepts} concepts holds in {_LEAST_SHARE:.0%} "
        f"of the {len(present)} images and needs every concept there. Ask for fewer terms, or more images or concepts."
    )


def _all_matter(present: NDArray[np.bool_], kind: Kind) -> bool:
    """Say whether a formula of these [images, terms] holds often enough, not too often, and needs each of them."""
    holds, n_terms = _holds(present, kind), present.shape[1]
    without = [_holds(np.delete(present, place, 1), kind) for place in range(n_terms)] if n_terms > 1 else []
    shares = [holds.mean(), (~holds).mean(), *((other != holds).mean() for other in without)]
    return min(shares) >= _LEAST_SHARE


def _holds(present: NDArray[np.bool_], kind: Kind) -> NDArray[np.bool_]:
    if kind == "or":
        return np.any(present, 1)
    if kind == "and-not":
        return present[:, 0] & ~np.any(present[:, 1:], 1)
    return np.all(present, 1)


def _signal(present: NDArray[np.float32], drawn: list[_Drawn], kind: Kind) -> NDArray[np.float64]:
    """Return the activations [images, neurons] without bias and noise."""
    if kind != "sum":
        return np.stack([_holds(present[:, chosen] > 0, kind) * rise for chosen, rise in drawn], 1)
    weights = np.zeros((present.shape[1], len(drawn)))
    for neuron, (chosen, some) in enumerate(drawn):
        weights[chosen, neuron] = some
    return present @ weights


def _truth(
    neuron: int,
    names: tuple[str, ...],
    chosen: NDArray[np.intp],
    weights: NDArray[np.float64],
    bias: float,
    kind: Kind,
) -> Explanation:
    called = [names[column] for column in chosen]
    said: list[Concept] = [*called] if kind in ("sum", "single") else [_join(called, kind)]
    terms = sorted(map(Term, said, weights.tolist()), key=lambda term: -term.weight)
    return Explanation(neuron, tuple(terms), bias, outcome="explained" if terms else "empty")


def _join(names: list[str], kind: Kind) -> Formula:
    """Return the formula of a kind."""
    first, *others = map(Formula.of, names)
    if kind == "and-not":
        return Formula("AND", (first, *(~one for one in others)))
    return Formula("OR" if kind == "or" else "AND", (first, *others))
