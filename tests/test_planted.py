"""Layers whose true explanations are known: sums as ever, one concept, and formulas."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le

JOINED: dict[str, Callable[[list[bool]], bool]] = {
    "single": lambda have: have[0],
    "or": any,
    "and": all,
    "and-not": lambda have: have[0] and not any(have[1:]),
}
WRITTEN = {"single": "{}", "or": "{} OR {}", "and": "{} AND {}", "and-not": "{} AND NOT {}"}


def old_planted(n_images: int, n_concepts: int, n_neurons: int, n_terms: int, noise: float, seed: int):
    """Sums as they were before there were other kinds, number by number."""
    rng = np.random.default_rng(seed)
    present = (rng.random((n_images, n_concepts)) < rng.uniform(0.05, 0.5, n_concepts)).astype(np.float32)
    weights = np.zeros((n_concepts, n_neurons))
    for neuron in range(n_neurons):
        chosen = rng.choice(n_concepts, n_terms, replace=False)
        weights[chosen, neuron] = rng.uniform(1, 3, n_terms)
    bias = rng.uniform(-1, 1, n_neurons)
    return present, weights, bias, present @ weights + bias + noise * rng.standard_normal((n_images, n_neurons))


@pytest.mark.parametrize("sizes", [(200, 40, 16, 3, 0.1, 0), (60, 5, 9, 5, 2.0, 3), (50, 4, 3, 0, 1.0, 2)])
def test_sums_are_the_same_bytes_as_ever(sizes):
    planted = le.make_planted(*sizes)
    present, weights, bias, values = old_planted(*sizes)
    assert torch.equal(planted.activations.values, torch.from_numpy(values))
    assert np.array_equal(planted.concepts.values, present)
    assert np.array_equal(planted.weights, weights)
    assert np.array_equal(planted.bias, bias)
    for neuron, item in enumerate(planted.truth):
        of = {f"concept {row}": weights[row, neuron] for row in np.flatnonzero(weights[:, neuron])}
        assert planted.terms(neuron) == of
        assert list(planted.terms(neuron).values()) == sorted(of.values(), reverse=True)
        assert item.outcome == ("explained" if of else "empty")


@pytest.mark.parametrize("kind", JOINED)
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_formulas_are_their_literal_twins(kind: str, threshold: float | None):
    planted = le.make_planted(90, 12, 6, noise=0, seed=4, kind=kind, threshold=threshold)
    for item in planted.truth:
        (term,) = item.terms
        names = [term.concept] if isinstance(term.concept, str) else list(term.concept.names)
        assert str(term.concept) == WRITTEN[kind].format(*names)
        assert 1 <= term.weight <= 3
        columns = planted.concepts.only(names).values.bool().tolist()
        line = [term.weight * JOINED[kind](have) + item.bias for have in columns]
        line = line if threshold is None else [max(value - threshold, 0) for value in line]
        recorded = planted.activations.values[:, item.neuron].tolist()
        assert recorded == pytest.approx(line, abs=1e-6)
    if threshold is None:
        simulated = le.simulate(planted.truth, planted.concepts)
        assert torch.allclose(simulated.values.double(), planted.activations.values, atol=1e-6)


@pytest.mark.parametrize("kind", ["or", "and", "and-not"])
def test_every_concept_of_a_formula_makes_a_difference(kind: str):
    """Rare concepts, of which some pairs never meet: no formula of them says what a shorter one says."""
    for seed in range(5):
        planted = le.make_planted(200, 30, 20, n_terms=3, seed=seed, kind=kind)
        for item in planted.truth:
            formula = item.terms[0].concept
            assert isinstance(formula, le.Formula)
            assert formula.length == 3
            have = planted.concepts.only(formula.names).values.bool().tolist()
            holds = [JOINED[kind](one) for one in have]
            assert 2 <= sum(holds) <= 198
            for left_out in range(3):
                without = [JOINED[kind]([*one[:left_out], *one[left_out + 1 :]]) for one in have]
                assert sum(one != other for one, other in zip(holds, without, strict=True)) >= 2


def test_noise_is_there_before_the_threshold():
    plain, cut = (le.make_planted(300, noise=1.0, kind="or", threshold=one) for one in (None, 0.5))
    assert torch.allclose(cut.activations.values, (plain.activations.values - 0.5).clamp_min(0), atol=1e-6)
    assert cut.truth == plain.truth
    lines = le.simulate(plain.truth, plain.concepts).values.double()
    assert 0.9 < float((plain.activations.values - lines).std()) < 1.1


def test_what_methods_say_of_it_can_be_compared_with_the_truth():
    planted = le.make_planted(500, 20, 10, noise=0.05, kind="and-not")
    found = le.InvertExplainer(max_length=2, max_fraction=1.0).explain(
        planted.activations, planted.concepts, le.Split.random(500)
    )
    assert [item.concepts for item in found] == [item.concepts for item in planted.truth]
    assert not planted.weights.any()  # a formula is no sum of concepts
    assert list(planted.terms(0)) == list(planted.truth[0].concepts)


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]):
    page = (Path(__file__).parent.parent / "docs" / "comparing.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], {})  # noqa: S102 - the page's own code
    truth, found = capsys.readouterr().out.splitlines()
    formula = re.fullmatch(r"neuron 0 ≈ .*·(\(concept \d+ AND NOT concept \d+\)) . .*", truth)
    assert formula is not None
    assert f"·{formula[1]}" in found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_terms": 41}, "n_terms is 41 but there are only 40 concepts"),
        ({"n_terms": -1}, "n_terms is -1"),
        ({"kind": "xor"}, "kind is 'xor'"),
        ({"kind": "single", "n_terms": 2}, "n_terms is 2, and a neuron of kind 'single' has 1 term"),
        ({"kind": "or", "n_terms": 1}, "n_terms is 1, and a neuron of kind 'or' has 2 terms or more"),
        ({"kind": "and", "n_terms": 12}, r"None of 1000 formulas \('and'\) of 12 of the 40 concepts holds in 1%"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"noise": -1}, "noise is -1"),
        ({"n_images": 0}, "n_images is 0"),
    ],
)
def test_what_cannot_be_planted(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        le.make_planted(**settings)
