"""Forward selection over all concepts: equal to literal least squares on rows, silent on noise, exact in odd cases."""

import numpy as np
import pytest
import torch

from linexp._internal import compiled as _compiled
from linexp.solve import accumulate_moments, search_greedy, search_stepwise
from tests.problems import PROBLEMS, assert_least_squares, elastic_net, make_problem, measure
from tests.reference import paper


def literal_stepwise(train, val, *, max_terms=10, min_gain=0.02):
    """The search for one neuron with every fit done on the rows."""
    n_train, n_val = len(train[1]), len(val[1])
    n_concepts = train[0].shape[1]
    spread = np.sum((train[1] - train[1].mean()) ** 2)
    chosen, best, kept, value = [], 0.0, [], np.nan
    while len(chosen) < max_terms:
        errors = {}
        for candidate in set(range(n_concepts)) - set(chosen):
            left = residual(train[0][:, chosen], train[0][:, candidate])
            if left @ left > 1e-9 * n_train * train[0][:, candidate].var():
                left = residual(train[0][:, [*chosen, candidate]], train[1])
                errors[candidate] = left @ left
        if not errors:
            break
        chosen.append(min(errors, key=errors.get))
        share = 1 - errors[chosen[-1]] / spread
        weights, bias = paper.least_squares(train[0][:, chosen], train[1])
        on_val = paper.correlation(val[0][:, chosen] @ weights + bias, val[1])
        honest = share - 3 * np.log(n_concepts) * len(chosen) / n_train * (1 - share)
        expected = (n_train * honest + n_val * on_val**2) / (n_train + n_val)
        score = np.sqrt(max(expected, 0)) - min_gain * len(chosen)
        if on_val > 1 / np.sqrt(n_val - 1) and score > best:
            best, kept, value = score, list(chosen), on_val
    return kept, value


def residual(concepts, target):
    weights, bias = paper.least_squares(concepts, target)
    return target - concepts @ weights - bias


def as_names(concepts):
    """The chosen concepts; 4 and 5 are equal and may stand for each other."""
    return [4 if c == 5 else int(c) for c in concepts if c >= 0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("settings", [{}, {"max_terms": 2}, {"min_gain": 0.0}, {"min_gain": 0.1}])
def test_equals_literal_least_squares(seed, settings):
    train, val = make_problem(seed, n_neurons=6)
    equals_literal_stepwise(train, val, settings, as_names)


@pytest.mark.parametrize("settings", [{}, {"max_terms": 4, "min_gain": 0.0}])
@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_literal_least_squares_on_hard_problems(make, settings):
    problem = make(1)
    equals_literal_stepwise(problem.train, problem.val, settings, problem.names)


def equals_literal_stepwise(train, val, settings, names):
    found = search_stepwise(*measure(train, val), **settings)
    assert (found.concepts >= 0).any()
    for neuron in range(train[1].shape[1]):
        kept, value = literal_stepwise((train[0], train[1][:, neuron]), (val[0], val[1][:, neuron]), **settings)
        used = found.concepts[neuron][found.concepts[neuron] >= 0]
        assert names(used) == names(kept)
        assert found.val_correlation[neuron] == pytest.approx(value, abs=1e-9, nan_ok=True)
        assert_least_squares(found, neuron, train, val)


def plant(n_images=1000, n_concepts=25, n_neurons=10, noise=0.5, seed=0):
    """Neurons that are sums of two or three concepts, one of them with a negative weight, plus noise."""
    rng = np.random.default_rng(seed)
    concepts = (rng.random((n_images, n_concepts)) < 0.3).astype(float)
    truth = [rng.choice(n_concepts, 2 + neuron % 2, replace=False) for neuron in range(n_neurons)]
    neurons = noise * rng.standard_normal((n_images, n_neurons))
    for neuron, terms in enumerate(truth):
        neurons[:, neuron] += concepts[:, terms] @ np.array([1.0, -0.8, 1.2])[: len(terms)]
    return (concepts[:800], neurons[:800]), (concepts[800:], neurons[800:]), [set(terms.tolist()) for terms in truth]


def test_planted_terms_are_found():
    train, val, truth = plant()
    found = search_stepwise(*measure(train, val))
    assert [set(row[row >= 0].tolist()) for row in found.concepts] == truth


def make_noise(seed, n_neurons=200):
    (train, _), (val, _) = make_problem(seed)
    rng = np.random.default_rng(seed + 100)
    return (train, rng.standard_normal((450, n_neurons))), (val, rng.standard_normal((150, n_neurons)))


@pytest.mark.parametrize("seed", range(3))
def test_noise_gets_terms_less_often_than_from_greedy(seed):
    moments = measure(*make_noise(seed))
    greedy = search_greedy(*moments, elastic_net(moments[0]))
    found = search_stepwise(*moments)
    assert (found.concepts[:, 0] >= 0).mean() < 0.1 < (greedy.concepts[:, 0] >= 0).mean()


def test_a_duplicate_is_never_a_second_term():
    train, val = make_problem()
    for part in (train, val):
        part[1][:, 0] = part[0][:, 4] + part[0][:, 1]
    found = search_stepwise(*measure(train, val), min_gain=0.0)
    assert (np.isin(found.concepts, [4, 5]).sum(1) <= 1).all()
    exact = search_stepwise(*measure(train, val))
    assert set(as_names(exact.concepts[0])) == {4, 1}
    assert exact.val_correlation[0] == pytest.approx(1)


def test_a_constant_concept_is_no_term():
    train, val = make_problem()
    for part in (train, val):
        part[0][:, 7] = 1.0
    moments = [accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in (train, val)]
    found = search_stepwise(*moments, min_gain=0.0)
    assert not (found.concepts == 7).any()
    assert (found.concepts[:, 0] >= 0).all()


def test_neurons_that_do_not_vary_get_no_term():
    train, val = make_problem()
    train[1][:, 2] = 1.0
    val[1][:, 3] = 1.0
    moments = [accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in (train, val)]
    found = search_stepwise(*moments, min_gain=0.0)
    assert (found.concepts[[2, 3]] == -1).all()
    assert (found.weights[[2, 3]] == 0).all()
    assert np.isnan(found.val_correlation[[2, 3]]).all()
    assert (found.concepts[4] >= 0).any()


def test_more_terms_than_concepts():
    train, val = make_problem(n_concepts=8)
    found = search_stepwise(*measure(train, val), max_terms=100, min_gain=0.0)
    assert found.concepts.shape == found.weights.shape == (12, 8)
    assert (found.concepts[:, 0] >= 0).any()


def test_a_neuron_does_not_depend_on_its_company():
    train, val = make_problem()
    together = search_stepwise(*measure(train, val))
    for neuron in range(12):
        alone = search_stepwise(*measure((train[0], train[1][:, [neuron]]), (val[0], val[1][:, [neuron]])))
        np.testing.assert_array_equal(alone.concepts[0], together.concepts[neuron])
        np.testing.assert_allclose(alone.weights[0], together.weights[neuron], atol=1e-12)


@pytest.mark.parametrize("per_turn", [1, 5, 100])
def test_the_bytes_do_not_depend_on_the_threads(monkeypatch, per_turn):
    moments = measure(*make_problem(n_neurons=70))
    expected = search_stepwise(*moments)
    monkeypatch.setattr(_compiled, "_NEURONS_PER_TURN", per_turn)
    found = search_stepwise(*moments)
    for name in ("concepts", "weights", "val_correlation"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def test_scales_do_not_matter():
    train, val = make_problem()
    concept_scale, neuron_scale = np.geomspace(1e-3, 1e3, 30), np.geomspace(1e6, 1e-6, 12)
    expected = search_stepwise(*measure(train, val))
    parts = [(part[0] * concept_scale, part[1] * neuron_scale) for part in (train, val)]
    found = search_stepwise(*[accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in parts])
    assert [as_names(row) for row in found.concepts] == [as_names(row) for row in expected.concepts]
    np.testing.assert_allclose(found.val_correlation, expected.val_correlation, atol=1e-9)
    for neuron, row in enumerate(found.concepts):
        used = row[row >= 0]
        unit = found.weights[neuron][: len(used)] * (train[0] * concept_scale)[:, used].std(0)
        unit /= (train[1] * neuron_scale)[:, neuron].std()
        np.testing.assert_allclose(unit, expected.weights[neuron][: len(used)], atol=1e-9)
