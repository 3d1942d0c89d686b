"""Weights above 0 only: equal to scipy's nonnegative least squares and to searches that try every set literally."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import nnls

import linexp as le
from linexp.solve import (
    fit_terms,
    search_greedy,
    search_greedy_nonzero,
    search_stepwise,
    search_swaps,
    search_top,
)
from tests.problems import PROBLEMS, elastic_net, make_problem, measure
from tests.reference import paper

SEARCHES = ("greedy", "greedy-nonzero", "top", "stepwise", "swaps")


def find(search, moments, **settings):
    guided = {"greedy": search_greedy, "greedy-nonzero": search_greedy_nonzero, "top": search_top}
    if search in guided:
        return guided[search](*moments, elastic_net(moments[0]), **settings)
    return {"stepwise": search_stepwise, "swaps": search_swaps}[search](*moments, **settings)


def centred(part, wanted, neuron):
    columns = part[0] - part[0].mean(0)
    return columns[:, wanted], part[1][:, neuron] - part[1][:, neuron].mean()


def opposed(seed=0):
    """Neurons that many concepts lower, so that plain least squares would take them with negative weights."""
    train, val = make_problem(seed, n_neurons=8)
    for part in (train, val):
        part[1][:] = part[1] - 2 * part[0][:, [7, 8]].sum(1, keepdims=True) - part[0][:, [2]]
    return train, val


@pytest.mark.parametrize("seed", range(4))
def test_a_given_fit_is_the_nonnegative_one(seed):
    train, val = opposed(seed)
    moments = measure(train, val)
    rng = np.random.default_rng(seed)
    # No copy and no superclass beside its members: what would be shared among them in no particular way.
    wanted = np.stack([rng.choice([0, 4, *range(6, 30)], 9, replace=False) for _ in range(8)])
    found, n_out = fit_terms(*moments, wanted, "positive"), 0
    for neuron in range(8):
        columns, target = centred(train, wanted[neuron], neuron)
        expected = nnls(columns / columns.std(0), target / target.std())[0]
        kept = found.concepts[neuron] >= 0
        assert found.concepts[neuron][kept].tolist() == wanted[neuron][expected > 1e-12].tolist()
        np.testing.assert_allclose(found.weights[neuron][kept], expected[expected > 1e-12], atol=1e-8)
        weights, bias = expected / columns.std(0), 0.0
        on_val = paper.correlation(val[0][:, wanted[neuron]] @ weights + bias, val[1][:, neuron])
        np.testing.assert_allclose(found.val_correlation[neuron], on_val, atol=1e-8)
        n_out += int((expected == 0).sum())
    assert n_out > 5  # or plain least squares would pass


def test_a_fit_of_what_only_lowers_the_neuron_has_no_term():
    train, val = make_problem(n_neurons=1)
    for part in (train, val):
        part[1][:, 0] = -part[0][:, 7]
    found = fit_terms(*measure(train, val), np.array([[7]]), "positive")
    assert found.concepts.tolist() == [[-1]]
    assert np.isnan(found.val_correlation).all()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("seed", range(2))
def test_all_weights_are_above_0_and_the_nonnegative_fit(search, seed):
    train, val = opposed(seed)
    moments = measure(train, val)
    plain, found = find(search, moments), find(search, moments, sign="positive")
    assert (plain.weights < 0).any() or search == "top"
    assert (found.concepts >= 0).any()
    assert (found.weights[found.concepts >= 0] > 0).all()
    for neuron in range(8):
        used = found.concepts[neuron][found.concepts[neuron] >= 0]
        if len(used):
            columns, target = centred(train, used, neuron)
            expected = nnls(columns / columns.std(0), target / target.std())[0]
            np.testing.assert_allclose(found.weights[neuron][: len(used)], expected, atol=1e-8)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_hard_problems_end_and_keep_the_sign(search, make):
    problem = make(0)
    found = find(search, measure(problem.train, problem.val), sign="positive")
    assert (found.weights[found.concepts >= 0] > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_pair_is_the_best_of_all_pairs_with_weights_above_0(seed):
    """Swaps end where no exchange of one term helps; here that is the best pair there is, tried literally."""
    train, val = opposed(seed)
    everything = tuple(np.concatenate(sides) for sides in zip(train, val, strict=True))
    found = find("swaps", measure(train, val), sign="positive", max_terms=2, min_gain=0.0)
    n_best = 0
    for neuron in range(8):
        columns, target = centred(everything, list(range(30)), neuron)
        best = min(combinations(range(30), 2), key=lambda pair: nnls(columns[:, pair], target)[1])
        n_best += set(best) == set(found.concepts[neuron].tolist())
    assert n_best >= 5  # the others stand for the ridge prediction better, not for the noisy neuron


def test_the_explainer_takes_it_by_name_and_in_the_search():
    planted = le.make_planted(n_images=400, noise=0.5)
    split = le.Split.random(400)
    flat = le.LinearExplainer(search="swaps", sign="positive", n_repeats=0)
    own = le.LinearExplainer(search=le.Swaps(sign="positive"), n_repeats=0)
    found = [one.explain(planted.activations, planted.concepts, split) for one in (flat, own)]
    assert found[0] == found[1]
    assert all(term.weight > 0 for item in found[0] for term in item.terms)
    with pytest.raises(ValueError, match="sign is 'negative'"):
        le.LinearExplainer(sign="negative")
    with pytest.raises(ValueError, match=r"which has settings of its own. Give it there: Swaps\(sign=positive\)"):
        le.LinearExplainer(search=le.Swaps(), sign="positive")
