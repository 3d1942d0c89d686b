"""What Python says: results, explanations, scores, and what is measured anew from the matrices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import linexp as le
from tests.truth.said import Said, exactly, mean_and_error
from tests.truth.world import DEAD, FOLDERS, STRANGER, World


def results(_: World) -> Iterator[Said]:
    """Yield what ``read_result`` knows."""
    for folder, name in FOLDERS.items():
        result, where = le.read_result(folder), f"read_result({folder})"
        for part in ("train", "val", "test"):
            yield from exactly((part,), len(result.rows(part)), where)
        yield from exactly(("images",), result.activations.n_images, where)
        yield from exactly(("neurons",), len(result.explanations), where)
        yield from exactly(("dead",), len(result.dead), where)
        yield from exactly(("concepts", name), result.concepts.n_concepts, where)
        yield from exactly(("dropped", name), len(result.explanations.dropped or ()), where)
        yield from exactly(("used", name), result.concepts.n_concepts - len(result.explanations.dropped or ()), where)
        yield from exactly(("seed",), result.settings["seed"], where)
        yield from explanations(name, result.explanations, where)
        for column in result.columns:
            key = column.method or name, column.judge, column.metric.partition(" (")[0]
            yield from exactly(("mean", *key, ""), column.mean, where)
            yield from exactly(("sem", *key, ""), column.sem, where)
            yield from exactly(("scored", *key, ""), len(column.values), where)
            yield from exactly(("silent", *key), len(column.silent), where)
            yield from exactly(("mean", *key, "explained only"), column.mean_explained, where)
            for neuron, value in column.values.items():
                yield from exactly(("score", *key, neuron), value, where)
                yield from exactly(("error", *key, neuron), column.errors.get(neuron), where)
            alive = column.only([neuron for neuron in result.explanations.neurons if neuron not in result.dead])
            yield from mean_and_error((*key, "without dead"), alive.values.values(), where)
            told = column.only([neuron for neuron in column.values if neuron not in column.silent])
            yield from mean_and_error((*key, "explained only"), told.values.values(), where)
        for judge in result.simulability:
            for concept, value in zip(judge.concepts, judge.values.tolist(), strict=True):
                yield from exactly(("simulability", judge.simulator, name, concept), value, where)
            yield from exactly(("judged concepts", name), len(judge.concepts), where)
            yield from exactly(("unknown concepts", name), len(judge.unknown), where)
            yield from exactly(("unknown terms", name, ""), judge.count_unknown(result.explanations), where)
            for concept in judge.concepts:
                in_terms = [concept in _words(term.concept) for item in result.explanations for term in item.terms]
                yield from exactly(("in terms", name, concept), sum(in_terms), where)
            yield from exactly(("all terms", name), sum(len(item.terms) for item in result.explanations), where)


def _words(concept: object) -> list[str]:
    return re.findall("[a-z]+", str(concept))


def explanations(name: str, found: le.Explanations, where: str) -> Iterator[Said]:
    alive = [item for item in found if item.neuron != DEAD]
    yield from exactly(("terms", name, ""), found.mean_terms, where)
    yield from exactly(("terms", name, "without dead"), le.Explanations(tuple(alive), "0").mean_terms, where)
    yield from exactly(("val", name, ""), found.mean_val_correlation, where)
    for outcome in ("explained", "empty", "constant"):
        yield from exactly((outcome, name), found.n_with(outcome), where)
    for item in found:
        key = name, item.neuron
        yield from exactly(("n_terms", *key), len(item.terms), where)
        yield from exactly(("bias", *key), item.bias, where)
        yield from exactly(("val", *key), item.val_correlation, where)
        yield from exactly(("val error", *key), item.val_error, where)
        if item.measure is not None:
            yield from exactly(("measure", *key), item.measure.value, where)
            yield from exactly(("p", *key), item.measure.p_value, where)
        for place, term in enumerate(item.terms):
            yield from exactly(("weight", *key, place), term.weight, where)
            yield from exactly(("weight error", *key, place), term.error, where)
            yield from exactly(("kept", *key, place), term.kept, where)


def matrices(_: World) -> Iterator[Said]:
    """Yield what activations and simulations are, and the own correlation, measured anew."""
    for folder, name in FOLDERS.items():
        result, where = le.read_result(folder), f"simulate({folder})"
        recorded, simulated = result.activations, le.simulate(result.explanations, result.concepts)
        for place, neuron in enumerate(recorded.neurons):
            values = recorded.values[:, place]
            for end, value in (("low", values.min()), ("high", values.max()), ("median", values.median())):
                yield from exactly((end, neuron), float(value), where)
            below = values < (0 if values.max() > 0 else values.min())
            yield from exactly(("below", neuron), int(below.sum()), where)
            for row, image in enumerate(result.image_names):
                yield from exactly(("activation", neuron, Path(image).as_posix()), float(values[row]), where)
            told = simulated.values[:, simulated.neurons.index(neuron)]
            yield from exactly(("predicted low", name, neuron), float(told.min()), where)
            yield from exactly(("predicted high", name, neuron), float(told.max()), where)
            yield from exactly(("is dead", neuron), int(recorded.is_dead[place]), where)
        scores = le.CorrelationScorer().score(simulated, recorded, result.split.test)
        key = name, "", "correlation"
        yield from mean_and_error((*key, ""), scores.defined.tolist(), where)
        for neuron in scores.neurons:
            yield from exactly(("score", *key, neuron), scores.of(neuron), where)
    yield from explanations(STRANGER, le.Explanations.from_csv(STRANGER), f"from_csv({STRANGER})")


FRAME = {"n_terms": "n_terms", "val_correlation": "val", "val_error": "val error", "bias": "bias"}
FRAME |= {"measure_value": "measure", "measure_p": "p"}


def frames(_: World) -> Iterator[Said]:
    """Yield what the table of explanations says."""
    for folder, name in FOLDERS.items():
        where = f"to_frame({folder})"
        for line in le.read_result(folder).explanations.to_frame().reset_index().to_dict("records"):
            for column, value in line.items():
                if column in FRAME:
                    yield from exactly((FRAME[column], name, line["neuron"]), value, where)
                else:
                    assert column in ("least_kept", "neuron") or isinstance(value, str), f"unknown column {column}"
