"""Numbers that lie, and extreme sizes: each has one documented outcome (docs/reliability.md)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import linexp as le
from linexp.explainers.linear import Search

SEARCHES: tuple[Search, ...] = ("greedy", "greedy-nonzero", "stepwise", "swaps", "top")
N_IMAGES = 600
SPLIT = le.Split.random(N_IMAGES)


@pytest.fixture(scope="module")
def planted() -> le.Planted:
    return le.make_planted(n_images=N_IMAGES, n_concepts=12, n_neurons=5, n_terms=2, noise=0.3, seed=3)


def explain(values: Any, concepts: le.ConceptMatrix, split: le.Split = SPLIT, **settings: Any) -> le.Explanations:
    return le.LinearExplainer(**settings).explain(le.ActivationMatrix(values), concepts, split)


def numbers(found: le.Explanations) -> list[float]:
    """Every number in the explanations; what is unknown is left out."""
    values: list[float | None] = []
    for item in found:
        values += [item.bias, item.val_correlation, item.val_error]
        values += [value for term in item.terms for value in (term.weight, term.error, term.kept)]
    return [value for value in values if value is not None]


def is_finite(found: le.Explanations) -> bool:
    return bool(np.isfinite(numbers(found)).all())


# --- NaN, infinity, overflow ---


@pytest.mark.parametrize(
    ("bad", "said"), [(math.nan, "is nan"), (math.inf, "is inf"), (-math.inf, "is -inf"), (70_000.0, "is inf")]
)
def test_a_number_that_is_none_is_named_at_once(bad: float, said: str) -> None:
    """70,000 overflows float16."""
    values = torch.zeros(4, 3, dtype=torch.float64)
    values[2, 1] = bad
    given = values.half() if bad == 70_000 else values
    with pytest.raises(
        ValueError, match=rf"Neuron 8 of layer 'l' {said} on image 2 \(1 such values .*float16 overflows"
    ):
        le.ActivationMatrix(given, [7, 8, 9], "l")


class Overflowing(nn.Module):
    """A half-precision network whose activations on bright pictures are above 65,504."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.half().mean((2, 3)) * 60_000 + 10_000


def test_an_overflowing_network_is_named_while_it_is_recorded() -> None:
    model = nn.Sequential(Overflowing())
    with pytest.raises(ValueError, match=r"Neuron 0 of layer '0' is inf on image 3 .*float16 overflows at 65,504"):
        le.record(
            model, "0", torch.arange(4).float().div(3).reshape(4, 1, 1, 1).expand(4, 3, 2, 2), show_progress=False
        )


def test_no_nan_gets_into_a_concept_matrix() -> None:
    with pytest.raises(ValueError, match=r"Concept 'b' is nan on image 1\. The presence of a concept must lie between"):
        le.ConceptMatrix([[0.0, 1.0], [0.5, math.nan]], ["a", "b"])


def test_a_simulation_that_overflows_is_named() -> None:
    terms = (le.Term("a", 3e38), le.Term("b", 3e38))
    explanations = le.Explanations((le.Explanation(4, terms),), "l")
    with pytest.raises(ValueError, match=r"Neuron 4 of layer 'l' is inf on image 1"):
        le.simulate(explanations, le.ConceptMatrix([[1.0, 0.0], [1.0, 1.0]], ["a", "b"]))


# --- scales ---


@pytest.mark.parametrize("search", SEARCHES)
def test_scaling_a_neuron_scales_its_weights_and_nothing_else(planted: le.Planted, search: Search) -> None:
    """Neurons from 1e-30 to 1e30 side by side: each gets the concepts that it gets at a scale of 1."""
    scales = torch.tensor([1e-30, 1e-6, 1.0, 1e6, 1e30], dtype=torch.float64)
    values = planted.activations.values.double()
    found = explain(values * scales, planted.concepts, search=search)
    assert is_finite(found)
    for neuron, item in enumerate(explain(values, planted.concepts, search=search)):
        scaled, scale = found[neuron], float(scales[neuron])
        assert scaled.outcome == item.outcome == "explained"
        assert scaled.concepts == item.concepts
        weights = [[term.weight for term in one.terms] + [one.bias] for one in (scaled, item)]
        np.testing.assert_allclose(np.array(weights[0]) / scale, weights[1], rtol=1e-5, atol=1e-6)
        assert scaled.val_correlation == pytest.approx(item.val_correlation, abs=1e-6)
        assert scaled.val_error == pytest.approx(item.val_error, rel=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_power_of_two_changes_no_bit_but_the_exponent(planted: le.Planted, search: Search) -> None:
    found = explain(planted.activations.values * 2.0**20, planted.concepts, search=search)
    for item, scaled in zip(explain(planted.activations.values, planted.concepts, search=search), found, strict=True):
        terms = tuple(
            replace(term, weight=term.weight * 2**20, error=None if term.error is None else term.error * 2**20)
            for term in item.terms
        )
        assert scaled == replace(item, terms=terms, bias=item.bias * 2**20)


@pytest.mark.parametrize("search", SEARCHES)
def test_neighbours_of_other_scales_change_nothing(planted: le.Planted, search: Search) -> None:
    """Whatever stands beside a neuron: other neurons, dead ones, huge and tiny ones; or nothing at all."""
    values = planted.activations.values.double()
    odd = torch.stack([values[:, 0] * 1e6, values[:, 1] * 1e-6, torch.full((N_IMAGES,), 3.0)], 1)
    few = explain(values, planted.concepts, search=search)
    many = explain(torch.cat([values, odd], 1), planted.concepts, search=search)
    alone = [explain(values[:, [neuron]], planted.concepts, search=search)[0] for neuron in range(5)]
    assert many[7].outcome == "constant"
    for neuron, item in enumerate(few):
        for other in (many[neuron], alone[neuron]):
            assert other.concepts == item.concepts
            assert other.outcome == item.outcome
            ours, theirs = (numbers(le.Explanations((one,))) for one in (item, other))
            np.testing.assert_allclose(theirs, ours, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("search", SEARCHES)
def test_half_precision_recordings_are_explained_alike(planted: le.Planted, search: Search) -> None:
    half = planted.activations.values.half()
    found = explain(half, planted.concepts, search=search)
    assert found.items == explain(half.float(), planted.concepts, search=search).items
    assert is_finite(found)


# --- concepts in few, all and none of the images ---


@pytest.mark.parametrize("search", SEARCHES)
def test_five_images_among_fifty_thousand(search: Search) -> None:
    n_images = 50_000
    rng = np.random.default_rng(0)
    split = le.Split.random(n_images)
    present = (rng.random((n_images, 3)) < 0.3).astype(np.float32)
    rare = np.zeros(n_images, dtype=np.float32)
    rare[split.train[:5].numpy()] = 1  # in no validation and no test image
    concepts = le.ConceptMatrix(np.column_stack([present, rare]), ["a", "b", "c", "rare"])
    neurons = np.column_stack([present[:, 0] + 100 * rare, rare * 1e-6]) + 1e-9 * rng.standard_normal((n_images, 2))
    found = explain(neurons, concepts, split, search=search)
    assert found.dropped_concepts == ()  # five at 1: just enough
    assert is_finite(found)
    weights = {term.concept: term.weight for term in found[0].terms}
    assert weights["a"] == pytest.approx(1, abs=0.05)
    if "rare" in weights:
        assert weights["rare"] == pytest.approx(100, abs=1e-2)


def test_concepts_in_every_image_in_none_and_in_too_few_are_dropped_and_listed(planted: le.Planted) -> None:
    extra = torch.zeros(N_IMAGES, 3)
    extra[:, 0] = 1
    extra[SPLIT.train[:2], 2] = 1
    names = [*planted.concepts.names, "every", "none", "twice"]
    concepts = le.ConceptMatrix(torch.cat([planted.concepts.values, extra], 1), names)
    for search in SEARCHES:
        found = explain(planted.activations.values, concepts, search=search)
        assert found.dropped_concepts == ("every", "none", "twice")
        assert found.items == explain(planted.activations.values, planted.concepts, search=search).items


@pytest.mark.parametrize("search", SEARCHES)
def test_a_concept_that_no_validation_image_has(planted: le.Planted, search: Search) -> None:
    """The neuron's only concept is absent from val: nothing can be measured there, which is said and not made up."""
    present = planted.concepts.values.clone()
    present[SPLIT.val, 0] = 0
    values = present[:, [0]] * 2.0 + 1.0
    concepts = le.ConceptMatrix(present, planted.concepts.names)
    found = explain(values, concepts, search=search)
    assert is_finite(found)
    assert found[0].outcome == ("explained" if search == "top" else "empty")
    assert found[0].val_correlation is None
    assert found[0].val_error is None


@pytest.mark.parametrize("search", SEARCHES)
def test_a_neuron_that_never_changes_on_validation_images(planted: le.Planted, search: Search) -> None:
    values = planted.activations.values.clone()
    values[SPLIT.val, 2] = 1.0
    found = explain(values, planted.concepts, search=search)
    assert found[2].outcome == ("explained" if search == "top" else "empty")
    assert (found[2].val_correlation, found[2].val_error) == (None, None)
    untouched = explain(planted.activations.values, planted.concepts, search=search)
    assert [found[neuron] for neuron in (0, 1, 3, 4)] == [untouched[neuron] for neuron in (0, 1, 3, 4)]


@pytest.mark.parametrize("search", SEARCHES)
def test_equal_nested_and_constant_columns(planted: le.Planted, search: Search) -> None:
    first = planted.concepts.values
    columns = torch.cat(
        [first, first, 1 - first[:, :2], first[:, :2].amax(1, keepdim=True), torch.ones(N_IMAGES, 1)], 1
    )
    names = [f"c{column}" for column in range(columns.shape[1])]
    found = explain(planted.activations.values, le.ConceptMatrix(columns, names), search=search)
    assert is_finite(found)
    assert found.dropped_concepts == (names[-1],)
    for item in found:
        assert max(abs(term.weight) for term in item.terms) < 10
        assert not any({f"c{k}", f"c{k + 12}"} <= set(item.concepts) for k in range(12))  # never both of two equal ones


@pytest.mark.parametrize("search", SEARCHES)
def test_neurons_that_never_change(planted: le.Planted, search: Search) -> None:
    values = planted.activations.values.clone()
    values[:, 1] = 0.1
    values[SPLIT.train, 2] = -5e20
    found = explain(values, planted.concepts, search=search)
    assert [item.outcome for item in found][1:3] == ["constant", "constant"]
    assert found[1].bias == pytest.approx(0.1)
    assert found[1].val_correlation is None
    simulated = le.simulate(found, planted.concepts)
    scores = le.CorrelationScorer().score(simulated, le.ActivationMatrix(values), SPLIT.test)
    assert math.isnan(scores.of(1))
    assert scores.of(2) == 0
    assert (scores.n_undefined, scores.n_silent) == (1, 1)
    assert math.isfinite(scores.mean)


# --- sizes ---


def test_ten_images_cannot_be_split_into_three_parts_of_two() -> None:
    with pytest.raises(
        ValueError, match=r"10 images split by \(0.7, 0.1, 0.2\) leave fewer than two .*Use more images"
    ):
        le.Split.random(10)


@pytest.mark.parametrize("search", SEARCHES)
def test_ten_images_two_concepts_one_neuron(search: Search) -> None:
    """Split by hand, ten images are enough to run; two to validate on show our searches nothing beyond noise."""
    present = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]]).float()
    values = 3 * present[:, :1] + 1
    split = le.Split(range(6), range(6, 8), range(8, 10))
    found = explain(values, le.ConceptMatrix(present, ["a", "b"]), split, search=search, min_activity=0.1)
    assert is_finite(found)
    if search not in ("greedy", "top"):
        assert found[0].outcome == "empty"
        return
    assert found[0].concepts in {("a",), ("a", "b")}
    assert found[0].terms[0].weight == pytest.approx(3)
    assert found[0].bias == pytest.approx(1)
    scores = le.CorrelationScorer().score(
        le.simulate(found, le.ConceptMatrix(present, ["a", "b"])), le.ActivationMatrix(values), split.test
    )
    assert scores.mean == pytest.approx(1)
    assert math.isnan(scores.sem)  # one neuron has no spread


@pytest.mark.parametrize("search", SEARCHES)
def test_sixteen_thousand_neurons(search: Search) -> None:
    n_neurons = 16_384
    present = (np.random.default_rng(1).random((60, 4)) < 0.4).astype(np.float32)
    values = present[:, np.arange(n_neurons) % 4] + np.arange(n_neurons)
    found = explain(
        values, le.ConceptMatrix(present, list("abcd")), le.Split.random(60), search=search, max_terms=1, n_groups=0
    )
    assert len(found) == n_neurons
    assert [item.concepts for item in found[-4:]] == [("a",), ("b",), ("c",), ("d",)]
    assert found[n_neurons - 1].bias == pytest.approx(n_neurons - 1)
