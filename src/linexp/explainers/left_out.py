"""Terms that other images would not choose again are left out, and the others fitted anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from linexp._internal.compiled import Indices
from linexp.explainers.fit import Method
from linexp.explainers.once import Task
from linexp.explanations import Explanation, Term
from linexp.matrix import Split
from linexp.solve import Moments, Sign, Solution, fit_terms


def leave_out(
    items: Sequence[Explanation],
    task: Task,
    split: Split,
    usable: Bool[Tensor, " concepts"],
    n_groups: int,
    min_kept: float,
    sign: Sign,
) -> tuple[Explanation, ...]:
    """Leave out terms of ``kept`` below ``min_kept``; explanations that have none stay as they are."""
    shown = {item.neuron: _stable(item, min_kept) for item in items}
    changed = [item.neuron for item in items if len(shown[item.neuron]) < len(item.terms)]
    if not changed:
        return tuple(items)
    names = [name for name, kept in zip(task.concepts.names, usable.tolist(), strict=True) if kept]
    place = {name: number for number, name in enumerate(names)}
    wanted = np.full((len(changed), max(max(len(shown[neuron]) for neuron in changed), 1)), -1)
    for row, neuron in enumerate(changed):
        wanted[row, : len(shown[neuron])] = [place[str(term.concept)] for term in shown[neuron]]
    given = Method(None, partial(_fit_given, wanted=wanted, sign=sign))
    few = replace(task, activations=task.activations.select(changed), method=given)
    fitted = {item.neuron: item for item in few.explain(split.train, split.val, usable, n_groups)}
    return tuple(_marked(fitted[item.neuron], item) if item.neuron in fitted else item for item in items)


def _stable(item: Explanation, min_kept: float) -> list[Term]:
    return [term for term in item.terms if term.kept is None or term.kept >= min_kept]


def _fit_given(train: Moments, val: Moments, *, wanted: Indices, sign: Sign) -> Solution:
    return fit_terms(train, val, wanted, sign)


def _marked(fitted: Explanation, before: Explanation) -> Explanation:
    """Return what was fitted with what was known of its terms."""
    known = {term.concept: term for term in before.terms}
    terms = tuple(
        replace(term, kept=known[term.concept].kept, synonyms=known[term.concept].synonyms) for term in fitted.terms
    )
    return replace(fitted, terms=terms)
