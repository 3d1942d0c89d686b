"""One method's explanations of a layer as a page gets them: terms, scores, predictions and shares of each range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from linexp.explanations import Columns, Concept, Explanation, simulate
from linexp.figures import N_RANGES, Shares, share_ranges
from linexp.matrix import EmbeddedConceptMatrix
from linexp.report.layers import LayerView, picked
from linexp.report.packing import as_base64, quantise, short
from linexp.report.places import pack_predicted_places
from linexp.results import Column, Result
from linexp.score import SIMULABLE, Simulability

# Neurons whose concepts are held at a time; fixed, so that the bytes do not depend on the memory there is.
_NEURONS = 256


class ConceptTable:
    """Every concept that a page names, each once."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}

    def number(self, concept: Concept) -> int:
        """Return the number of a concept, a new one if need be; a formula is called by its text."""
        return self.place.setdefault(concept if isinstance(concept, str) else concept.grouped, len(self.place))


def pack_method(finding: Result, view: LayerView, table: ConceptTable, shares: Shares = "plain") -> dict[str, Any]:
    """Return one method's part of a layer in plain values; ``None`` for a neuron that it does not explain."""
    explanations = finding.explanations
    simulated = simulate(explanations, finding.concepts).values.numpy()
    column = {neuron: place for place, neuron in enumerate(explanations.neurons)}
    known = [column.get(neuron, -1) for neuron in view.neurons]
    predicted = np.where(np.array(known) >= 0, simulated[:, known], 0.0)
    low, high = predicted.min(0), predicted.max(0)
    of = {item.neuron: item for item in explanations}
    items = [of.get(neuron) for neuron in view.neurons]
    areas, other, none = _shares(finding, view, items, shares)
    measures = [item.measure if item else None for item in items]
    links = [item.link if item else None for item in items]
    told = {"measures": [one and [one.name, short(one.value), short(one.p_value, 2)] for one in measures]}
    bends = {"links": [one and [[*map(short, side)] for side in (one.inputs, one.outputs)] for one in links]}
    return {
        **(told if any(measures) else {}),
        **(bends if any(links) else {}),
        "name": finding.method,
        "probabilities": isinstance(finding.concepts, EmbeddedConceptMatrix),
        "outcomes": [item.outcome if item else None for item in items],
        "terms": [_terms(item, table) for item in items],
        "bias": [short(item.bias) if item else None for item in items],
        "val": [short(item.val_correlation) if item else None for item in items],
        "valError": [short(item.val_error, 2) if item else None for item in items],
        "columns": [_column(column, view) for column in finding.columns],
        "judges": [_judge(judge, explanations.concepts, table) for judge in finding.simulability],
        "shares": as_base64(areas, 8),
        "other": other,
        "none": as_base64(none, 8),
        "low": [short(value, 6) for value in low.tolist()],
        "high": [short(value, 6) for value in high.tolist()],
        "predicted": quantise(picked(view, predicted), low, high, 16),
        "points": quantise(predicted[view.points].T, low, high, 8),
        **pack_predicted_places(finding, view, predicted, items),
    }


def _terms(item: Explanation | None, table: ConceptTable) -> list[list[Any]]:
    """Return concept, weight, error, how often it was chosen again, and synonyms; what is unknown at the end is out."""
    packed: list[list[Any]] = []
    for term in item.terms if item else ():
        cells: list[Any] = [table.number(term.concept), short(term.weight), short(term.error, 3), short(term.kept, 3)]
        cells.append([table.number(word) for word in term.synonyms] or None)
        while cells[-1] is None:
            cells.pop()
        packed.append(cells)
    return packed


def _judge(judge: Simulability, concepts: Sequence[Concept], table: ConceptTable) -> dict[str, Any]:
    """Return how well a judge knows the concepts that it was asked about."""
    known = ((concept, judge.of(concept)) for concept in concepts)
    pairs = [[table.number(concept), short(value, 2)] for concept, value in known if value is not None]
    return {"name": judge.simulator, "limit": SIMULABLE, "known": pairs}


def _column(column: Column, view: LayerView) -> dict[str, Any]:
    packed: dict[str, Any] = {
        "title": column.title,
        "metric": column.metric,
        "judge": column.judge,
        "method": column.method,
        "mean": short(column.mean),
        "values": [short(column.values.get(neuron)) for neuron in view.neurons],
    }
    if column.errors:
        packed["errors"] = [short(column.errors.get(neuron), 2) for neuron in view.neurons]
    return packed


def _shares(
    finding: Result, view: LayerView, items: list[Explanation | None], shares: Shares
) -> tuple[Float[np.ndarray, " shares"], list[list[int]], Float[np.ndarray, " ranges"]]:
    """Return the shares of all neurons one after the other [ranges, terms], which terms are "other", and the rest.

    Shares are in 255ths, the rest is that of images with no concept [neurons, ranges].
    """
    pieces: list[np.ndarray[Any, Any]] = [np.zeros(0)]
    rest: list[np.ndarray[Any, Any]] = [np.zeros(0)]
    other: list[list[int]] = []
    for start in range(0, len(items), _NEURONS):
        block = items[start : start + _NEURONS]
        wanted = tuple(dict.fromkeys(concept for item in block if item for concept in item.concepts))
        presence = Columns(finding.concepts, wanted).block().numpy()
        place = {concept: number for number, concept in enumerate(wanted)}
        for offset, item in enumerate(block):
            columns = presence[:, [place[concept] for concept in item.concepts]] if item else presence[:, :0]
            concepts = tuple(map(str, item.concepts)) if item else ()
            neuron = start + offset
            area = share_ranges(columns, concepts, view.activations[:, neuron], view.ranges[neuron], shares)
            # Rounded down, so that what stacks to at most 1 still does.
            pieces.append(np.floor(area.shares * 255 + 1e-9).reshape(N_RANGES * len(concepts)))
            rest.append(np.floor(area.other * 255 + 1e-9))
            other.append([term for term, name in enumerate(area.names) if name != concepts[term]])
    return np.concatenate(pieces), other, np.concatenate(rest)
