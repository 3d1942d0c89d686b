"""Weights of what is said without any: the literal least squares, whatever is said of whom."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import linexp as le
from linexp.explanations import Concept

N_IMAGES, NAMES = 60, tuple("abcdef")
SPLIT = le.Split.random(N_IMAGES, seed=1)
FORMULA = le.Formula.parse("a AND NOT (b OR f)")
SAID: list[list[Concept]] = [["a"], ["b", FORMULA], [], ["c", "d", "e"], ["e", le.Formula.parse("a OR b")]]


def matrices(seed: int = 0, *, embedded: bool = False) -> tuple[le.ActivationMatrix, le.ConceptMatrix]:
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(N_IMAGES, 5, generator=generator) * torch.tensor([1.0, 10.0, 0.1, 3.0, 1e3]) + 2
    if embedded:
        vectors = torch.nn.functional.normalize(torch.randn(N_IMAGES + 6, 8, generator=generator))
        concepts = le.EmbeddedConceptMatrix(vectors[:N_IMAGES], vectors[N_IMAGES:], NAMES, 8.0, -0.1, "i")
    else:
        concepts = le.ConceptMatrix(torch.rand(N_IMAGES, 6, generator=generator), NAMES, "i")
    return le.ActivationMatrix(activations, (3, 1, 4, 15, 9), "layer", "i"), concepts


def twin(
    said: list[Concept], active: np.ndarray, concepts: le.ConceptMatrix, split: le.Split
) -> tuple[list[float], float, float]:
    """Return weights, bias and val correlation as the textbook has them."""
    columns = [
        one.column(concepts) if isinstance(one, le.Formula) else concepts.only([one]).values[:, 0] for one in said
    ]
    table = np.column_stack([*(column.double().numpy() for column in columns), np.ones(len(active))])
    weights = np.linalg.lstsq(table[split.train], active[split.train], rcond=None)[0]
    predicted = table @ weights
    val = np.corrcoef(predicted[split.val], active[split.val])[0, 1] if said else math.nan
    return weights[:-1].tolist(), float(weights[-1]), float(val)


@pytest.mark.parametrize("embedded", [False, True])
def test_weights_bias_and_correlation_are_the_literal_twins(embedded: bool):
    activations, concepts = matrices(embedded=embedded)
    found = le.fit_weights(SAID, activations, concepts, SPLIT)
    assert found.neurons == activations.neurons
    assert found.layer == "layer"
    assert found.fitted_on == le.FittedOn.of(SPLIT, "i")
    for column, (item, said) in enumerate(zip(found, SAID, strict=True)):
        active = activations.values[:, column].double().numpy()
        weights, bias, val = twin(said, active, concepts, SPLIT)
        assert dict(zip(item.concepts, [term.weight for term in item.terms], strict=True)) == pytest.approx(
            dict(zip(said, weights, strict=True)), rel=1e-4
        )
        assert item.bias == pytest.approx(bias, rel=1e-4)
        assert [term.weight for term in item.terms] == sorted((term.weight for term in item.terms), reverse=True)
        assert item.val_correlation == (pytest.approx(val, abs=1e-6) if said else None)
        assert all(term.error is not None and term.error > 0 for term in item.terms)
        assert item.outcome == ("explained" if said else "empty")


def test_a_neuron_alone_is_as_together_and_test_images_play_no_part():
    activations, concepts = matrices()
    together = le.fit_weights(SAID, activations, concepts, SPLIT)
    changed = activations.values.clone()
    changed[SPLIT.test] = 1e6
    other = le.ActivationMatrix(changed, activations.neurons, "layer", "i")
    assert le.fit_weights(SAID, other, concepts, SPLIT) == together
    for neuron, said in zip(activations.neurons, SAID, strict=True):
        alone = le.fit_weights([said], activations.select([neuron]), concepts, SPLIT)
        assert alone.items == (together[neuron],)


def test_errors_are_those_of_the_jackknife():
    activations, concepts = matrices()
    split = replace(SPLIT, train=SPLIT.train[:40], val=SPLIT.val)
    found = le.fit_weights([["a", "b"]] * 5, activations, concepts, split, n_groups=4)
    active = activations.values[:, 1].double().numpy()
    left_out = []
    for group in range(4):
        train = [row for place, row in enumerate(split.train.tolist()) if place % 4 != group]
        left_out.append(twin(["a", "b"], active, concepts, replace(split, train=torch.tensor(train)))[0])
    spread = np.sqrt(3 / 4 * np.square(np.array(left_out) - np.mean(left_out, 0)).sum(0))
    known = {term.concept: term.error for term in found[1].terms}
    assert [known["a"], known["b"]] == pytest.approx(spread.tolist(), rel=1e-5)
    without = le.fit_weights([["a", "b"]] * 5, activations, concepts, split, n_groups=0)
    assert [term.error for term in without[1].terms] == [None, None]
    assert without[1].val_error is None


def test_what_cannot_be_fitted_stays_with_weight_0():
    activations, concepts = matrices()
    values = concepts.values.clone()
    values[SPLIT.train, 1] = 0.5  # constant where it is fitted
    values[:, 2] = values[:, 0]
    concepts = le.ConceptMatrix(values, NAMES, "i")
    found = le.fit_weights([["b"], ["a", "c"], ["b", "a", "c", "a"], ["a"], []], activations, concepts, SPLIT)
    assert found[3].terms == (le.Term("b", 0.0),)
    assert found[3].bias == pytest.approx(float(activations.values[SPLIT.train, 0].double().mean()))
    assert found[3].val_correlation is None
    assert {term.concept: term.weight for term in found[1].terms}["c"] == 0
    assert {term.concept: term.weight for term in found[1].terms}["a"] != 0
    assert sorted(found[4].names) == ["a", "b", "c"]


def test_constant_neurons_and_nothing_said():
    activations, concepts = matrices()
    values = activations.values.clone()
    values[SPLIT.train, 2] = 0.1
    still = le.ActivationMatrix(values, activations.neurons, "layer", "i")
    found = le.fit_weights([["a"]] * 5, still, concepts, SPLIT)
    assert found[4] == le.Explanation(4, (), float(np.float32(0.1)), None, "constant")
    nothing = le.fit_weights([[]] * 5, still, concepts, SPLIT)
    assert [item.outcome for item in nothing] == ["empty", "empty", "constant", "empty", "empty"]
    assert nothing[1].bias == pytest.approx(float(values[SPLIT.train, 1].double().mean()))


def test_measures_are_kept_beside_them():
    activations, concepts = matrices()
    measures = [le.Measure("IoU", place / 10) for place in range(4)]
    found = le.fit_weights(SAID, activations, concepts, SPLIT, measures=[*measures, None])
    assert [item.measure for item in found] == [*measures, None]
    bare = tuple(replace(item, measure=None) for item in found)
    assert bare == le.fit_weights(SAID, activations, concepts, SPLIT).items


def test_refuses():
    activations, concepts = matrices()
    with pytest.raises(ValueError, match=r"^2 neurons are explained, 5 recorded\. Say it of each\.$"):
        le.fit_weights([["a"], []], activations, concepts, SPLIT)
    with pytest.raises(ValueError, match=r"^1 neurons are measured, 5 recorded\. Say it of each\.$"):
        le.fit_weights([["a"]] * 5, activations, concepts, SPLIT, measures=[None])
    with pytest.raises(ValueError, match=r"The formula 'a AND x' names 'x', not among the 6 concepts"):
        le.fit_weights([[le.Formula.parse("a AND x")]] * 5, activations, concepts, SPLIT)
    with pytest.raises(ValueError, match="The concept 'x' is not among the 6"):
        le.fit_weights([["x"]] * 5, activations, concepts, SPLIT)
    with pytest.raises(le.DifferentImagesError):
        le.fit_weights([["a"]] * 5, activations, replace_images(concepts), SPLIT)
    with pytest.raises(ValueError, match=r"n_groups is 1\. It must be a whole number and at least 2"):
        le.fit_weights([["a"]] * 5, activations, concepts, SPLIT, n_groups=1)


def replace_images(concepts: le.ConceptMatrix) -> le.ConceptMatrix:
    return le.ConceptMatrix(concepts.values, concepts.names, "other")


def test_concepts_are_never_whole(monkeypatch: pytest.MonkeyPatch):
    """Of embeddings only blocks of rows are multiplied out, and only what is named."""
    asked: list[tuple[int, int]] = []
    block = le.EmbeddedConceptMatrix.block

    def watched(self: le.EmbeddedConceptMatrix, rows: torch.Tensor) -> torch.Tensor:
        found = block(self, rows)
        asked.append((found.shape[0], found.shape[1]))
        return found

    monkeypatch.setattr(le.EmbeddedConceptMatrix, "block", watched)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(5006, 4, generator=generator))
    concepts = le.EmbeddedConceptMatrix(vectors[:5000], vectors[5000:], NAMES, 8.0, -0.1)
    activations = le.ActivationMatrix(torch.randn(5000, 2, generator=generator))
    found = le.fit_weights([["a"], [FORMULA]], activations, concepts, le.Split.random(5000))
    assert found[1].terms[0].error
    assert sum(rows for rows, _ in asked) == 4000  # train and val, each once
    assert max(rows for rows, _ in asked) <= 2048
    assert {columns for _, columns in asked} == {3}
