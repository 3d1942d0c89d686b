"""Best-subset search by swaps: equal to the same search done literally on rows, silent on noise, exact in odd cases."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from linexp._internal import compiled as _compiled
from linexp.solve import accumulate_moments, search_greedy, search_stepwise, search_swaps
from tests.problems import PROBLEMS, assert_least_squares, elastic_net, make_problem, measure
from tests.reference import paper
from tests.test_stepwise import as_names, make_noise, plant, residual


def literal_reference(concepts, neuron):
    """Ridge prediction of least generalised cross-validation error, and the share of variance it should explain."""
    n_images, n_concepts = concepts.shape
    concepts = (concepts - concepts.mean(0)) / concepts.std(0)
    neuron = neuron - neuron.mean()
    best, reference = neuron.var(), None
    for noise in (0.01, 0.3, 2, 6, 20):
        penalty = noise * n_concepts / n_images * np.eye(n_concepts)
        hat = concepts @ np.linalg.solve(concepts.T @ concepts / n_images + penalty, concepts.T / n_images)
        hat += 1 / n_images  # the mean is fitted too
        error = np.mean((neuron - hat @ neuron) ** 2) / (1 - np.trace(hat) / n_images) ** 2
        if error < best:
            best, reference = error, hat @ neuron
    return reference, 1 - best / neuron.var()


def squared_error(concepts, chosen, reference):
    left = residual(concepts[:, chosen], reference)
    return left @ left


def is_new(concepts, chosen, candidate):
    left = residual(concepts[:, chosen], concepts[:, candidate])
    return left @ left > 1e-9 * len(left) * concepts[:, candidate].var()


def literal_swaps(concepts, neuron, *, max_terms=10, min_gain=0.02):
    """The terms for one neuron, from the training and validation rows together, with every fit done on them."""
    reference, share = literal_reference(concepts, neuron)
    if reference is None:
        return []
    scale = len(reference) * reference.var()
    chosen, best, kept = [], 0.0, []
    while len(chosen) < max_terms:
        new = [c for c in range(concepts.shape[1]) if is_new(concepts, chosen, c)]
        if not new:
            break
        chosen.append(min(new, key=lambda c: squared_error(concepts, [*chosen, c], reference)))
        while len(chosen) > 1:
            trials = {(): squared_error(concepts, chosen, reference) - 1e-9 * scale}
            for place in range(len(chosen)):
                rest = chosen[:place] + chosen[place + 1 :]
                for candidate in range(concepts.shape[1]):
                    if candidate not in chosen and is_new(concepts, rest, candidate):
                        trials[place, candidate] = squared_error(concepts, [*rest, candidate], reference)
            swap = min(trials, key=trials.get)
            if not swap:
                break
            chosen[swap[0]] = swap[1]
        explained = 1 - squared_error(concepts, chosen, reference) / scale
        score = np.sqrt(share * explained) - min_gain * len(chosen)
        if score > best:
            best, kept = score, list(chosen)
    return kept


@pytest.mark.parametrize(
    ("seed", "settings"),
    [(0, {}), (1, {"max_terms": 4, "min_gain": 0.0}), (2, {"min_gain": 0.05}), (3, {"min_gain": 0.1})],
)
def test_equals_the_literal_search(seed, settings):
    train, val = make_problem(seed, n_neurons=5)
    equals_literal_swaps(train, val, settings, as_names)


@pytest.mark.parametrize("settings", [{}, {"max_terms": 6, "min_gain": 0.0}])
@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_the_literal_search_on_hard_problems(make, settings):
    problem = make(0)
    equals_literal_swaps(problem.train, problem.val, settings, problem.names)


def equals_literal_swaps(train, val, settings, names):
    """The concepts chosen are the literal ones, but where these do not beat the noise on the images to choose by."""
    found = search_swaps(*measure(train, val), **settings)
    assert (found.concepts >= 0).any()
    everything = np.concatenate([train[0], val[0]]), np.concatenate([train[1], val[1]])
    for neuron in range(train[1].shape[1]):
        used = found.concepts[neuron][found.concepts[neuron] >= 0]
        wanted = literal_swaps(everything[0], everything[1][:, neuron], **settings)
        weights, bias = paper.least_squares(train[0][:, wanted], train[1][:, neuron])
        on_val = paper.correlation(val[0][:, wanted] @ weights + bias, val[1][:, neuron])
        assert set(names(used)) == (set(names(wanted)) if on_val > 1 / np.sqrt(len(val[0]) - 1) else set())
        assert_least_squares(found, neuron, train, val)


def test_planted_terms_are_found():
    train, val, truth = plant()
    found = search_swaps(*measure(train, val))
    assert [set(row[row >= 0].tolist()) for row in found.concepts] == truth


def test_a_swap_undoes_a_first_choice_that_only_seemed_best():
    """The blend of two concepts correlates best alone, but beside either of them the other one is better."""
    rng = np.random.default_rng(0)
    concepts = rng.random((1000, 12))
    concepts[:, 3] = (concepts[:, 1] + concepts[:, 2]) / 2 + 0.05 * rng.standard_normal(1000)
    neuron = concepts[:, [1]] + concepts[:, [2]] + 0.01 * rng.standard_normal((1000, 1))
    moments = measure((concepts[:800], neuron[:800]), (concepts[800:], neuron[800:]))
    settings = {"max_terms": 2, "min_gain": 0.0}
    assert search_stepwise(*moments, **settings).concepts[0, 0] == 3
    assert set(search_swaps(*moments, **settings).concepts[0]) == {1, 2}


def test_terms_go_where_they_buy_most():
    """One neuron needs six concepts, the other one only one; the price decides, each neuron for itself."""
    rng = np.random.default_rng(0)
    concepts = (rng.random((2000, 20)) < 0.3).astype(float)
    neurons = np.stack([concepts[:, :6].sum(1), concepts[:, 9]], 1) + 0.5 * rng.standard_normal((2000, 2))
    found = search_swaps(*measure((concepts[:1600], neurons[:1600]), (concepts[1600:], neurons[1600:])))
    assert [set(row[row >= 0].tolist()) for row in found.concepts] == [{0, 1, 2, 3, 4, 5}, {9}]


@pytest.mark.parametrize("seed", range(3))
def test_noise_gets_terms_less_often_than_from_greedy(seed):
    moments = measure(*make_noise(seed))
    greedy = search_greedy(*moments, elastic_net(moments[0]))
    found = search_swaps(*moments)
    assert (found.concepts[:, 0] >= 0).mean() < 0.1 < (greedy.concepts[:, 0] >= 0).mean()


def test_a_higher_price_never_buys_more_terms():
    moments = measure(*make_problem(n_neurons=40))
    lengths = [(search_swaps(*moments, min_gain=price).concepts >= 0).sum(1) for price in (0.0, 0.01, 0.03, 0.1, 1.0)]
    assert all((more >= fewer).all() for more, fewer in pairwise(lengths))
    assert (lengths[-1] == 0).all()


def test_a_duplicate_is_never_a_second_term():
    train, val = make_problem()
    for part in (train, val):
        part[1][:, 0] = part[0][:, 4] + part[0][:, 1]
    found = search_swaps(*measure(train, val), min_gain=0.0)
    assert (np.isin(found.concepts, [4, 5]).sum(1) <= 1).all()
    exact = search_swaps(*measure(train, val))
    assert set(as_names(exact.concepts[0])) == {4, 1}
    assert exact.val_correlation[0] == pytest.approx(1)


def test_a_constant_concept_is_no_term_and_changes_nothing():
    train, val = make_problem()
    expected = search_swaps(*measure(train, val))
    parts = [(np.insert(part[0], 7, 1.0, axis=1), part[1]) for part in (train, val)]
    found = search_swaps(*[accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in parts])
    without = np.where(found.concepts > 7, found.concepts - 1, found.concepts)
    assert not (found.concepts == 7).any()
    assert [as_names(row) for row in without] == [as_names(row) for row in expected.concepts]


def test_a_concept_without_variance_on_train_is_left_out():
    train, val = make_problem()
    train[0][:, 7] = 0.0
    val[1][:, 0] += 5 * val[0][:, 7]
    moments = [accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in (train, val)]
    assert not (search_swaps(*moments, min_gain=0.0).concepts == 7).any()


def test_neurons_that_do_not_vary():
    train, val = make_problem()
    for part in (train, val):
        part[1][:, 2] = 1.0
    val[1][:, 3] = 1.0
    moments = [accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in (train, val)]
    found = search_swaps(*moments)
    assert (found.concepts[2] == -1).all()
    assert (found.weights[2] == 0).all()
    assert np.isnan(found.val_correlation[[2, 3]]).all()
    assert (found.concepts[4] >= 0).any()


def test_more_terms_than_concepts():
    train, val = make_problem(n_concepts=8)
    found = search_swaps(*measure(train, val), max_terms=100, min_gain=0.0)
    assert found.concepts.shape == found.weights.shape == (12, 8)
    assert (found.concepts[:, 0] >= 0).any()


def test_a_neuron_does_not_depend_on_its_company():
    train, val = make_problem()
    together = search_swaps(*measure(train, val))
    for neuron in range(12):
        alone = search_swaps(*measure((train[0], train[1][:, [neuron]]), (val[0], val[1][:, [neuron]])))
        np.testing.assert_array_equal(alone.concepts[0], together.concepts[neuron])
        np.testing.assert_allclose(alone.weights[0], together.weights[neuron], atol=1e-12)


@pytest.mark.parametrize("per_turn", [1, 5, 100])
def test_the_bytes_do_not_depend_on_the_threads(monkeypatch, per_turn):
    moments = measure(*make_problem(n_neurons=70))
    expected = search_swaps(*moments)
    monkeypatch.setattr(_compiled, "_NEURONS_PER_TURN", per_turn)
    found = search_swaps(*moments)
    for name in ("concepts", "weights", "val_correlation"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def test_scales_do_not_matter():
    train, val = make_problem()
    concept_scale, neuron_scale = np.geomspace(1e-3, 1e3, 30), np.geomspace(1e6, 1e-6, 12)
    expected = search_swaps(*measure(train, val))
    parts = [(part[0] * concept_scale, part[1] * neuron_scale) for part in (train, val)]
    found = search_swaps(*[accumulate_moments([tuple(map(torch.from_numpy, part))]) for part in parts])
    assert [as_names(row) for row in found.concepts] == [as_names(row) for row in expected.concepts]
    np.testing.assert_allclose(found.val_correlation, expected.val_correlation, atol=1e-9)
