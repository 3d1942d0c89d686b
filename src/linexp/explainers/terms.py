"""From columns and standardised weights to named terms in a neuron's own units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from linexp.explainers.fit import Units
from linexp.explanations import Concept, Explanation, Term
from linexp.solve import Jackknife, Solution


def in_words(solution: Solution, units: Units, names: Sequence[Concept], errors: Jackknife | None) -> list[Explanation]:
    """Turn column numbers and weights in standard deviations into named terms in the neurons' own units.

    The neurons are numbered from 0.
    """
    neuron_scale, neuron_mean = units.neuron_scale.tolist(), units.neuron_mean.tolist()
    found: list[Explanation] = []
    for neuron, (columns, scaled) in enumerate(zip(solution.concepts, solution.weights, strict=True)):
        used = columns[columns >= 0]
        scale = neuron_scale[neuron] / units.concept_scale[used]
        weights = scaled[: len(used)] * scale
        bias = neuron_mean[neuron] - float(weights @ units.concept_mean[used])
        order = np.argsort(-weights, kind="stable")
        deviations = scale * (math.nan if errors is None else errors.weight_error[neuron][: len(used)])
        terms = tuple(
            Term(names[used[place]], float(weights[place]), _known(float(deviations[place]))) for place in order
        )
        found.append(
            Explanation(
                neuron,
                terms,
                bias,
                _known(solution.val_correlation[neuron]),
                "explained" if terms else "empty",
                None if errors is None else _known(errors.val_error[neuron]),
            )
        )
    return found


def with_synonyms(item: Explanation, merged: Mapping[int, Sequence[int]], *, names: Sequence[str]) -> Explanation:
    """Return an explanation whose terms list the words that they stand for, by their columns."""
    stands = {names[concept]: tuple(names[other] for other in others) for concept, others in merged.items()}
    return replace(item, terms=tuple(replace(term, synonyms=stands.get(str(term.concept), ())) for term in item.terms))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
