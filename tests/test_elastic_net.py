"""The elastic net: optimal by its duality gap, equal to scikit-learn's, indifferent to company."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from linexp import NotConvergedWarning
from linexp.solve import solve_elastic_net
from tests.reference import paper

STRENGTH, L1_RATIO = 0.05, 0.99


def make_problem(n_images=300, n_concepts=40, n_neurons=7, seed=0, *, nested=False, binary=False):
    rng = np.random.default_rng(seed)
    concepts = rng.standard_normal((n_images, n_concepts))
    if binary:
        concepts = (concepts > 1).astype(float)
    if nested:  # a class and its superclass, and two nearly equal columns
        concepts[:, 1] = np.maximum(concepts[:, 0] > 0.5, concepts[:, 2] > 0.5)
        concepts[:, 0] = concepts[:, 0] > 0.5
        concepts[:, 4] = concepts[:, 3] + 1e-5 * rng.standard_normal(n_images)
    weights = np.where(rng.random((n_concepts, n_neurons)) < 0.1, rng.standard_normal((n_concepts, n_neurons)), 0)
    neurons = concepts @ weights + 0.5 * rng.standard_normal((n_images, n_neurons))
    return paper.standardise(concepts, concepts), paper.standardise(neurons, neurons)


def moments(concepts, neurons):
    n = len(concepts)
    return concepts.T @ concepts / n, concepts.T @ neurons / n, (neurons**2).mean(0)


@pytest.mark.parametrize("kind", [{}, {"nested": True}, {"binary": True}, {"n_concepts": 400, "n_images": 100}])
@pytest.mark.parametrize("strength", [0.3, 0.05, 0.01])
def test_equals_scikit_learn(kind, strength):
    concepts, neurons = make_problem(**kind)
    fit = solve_elastic_net(*moments(concepts, neurons), strength=strength, l1_ratio=0.9, tolerance=1e-12)
    for neuron in range(neurons.shape[1]):
        referee = ElasticNet(alpha=strength / 0.9, l1_ratio=0.9, fit_intercept=False, tol=1e-13, max_iter=1_000_000)
        referee.fit(concepts, neurons[:, neuron])
        np.testing.assert_allclose(fit.weights[:, neuron], referee.coef_, atol=1e-6)


@pytest.mark.parametrize("kind", [{}, {"nested": True}, {"binary": True}])
def test_gap_bounds_the_distance_to_the_optimum(kind):
    """Solved roughly, the objective exceeds that of a precise solution by at most the reported gap."""
    concepts, neurons = make_problem(**kind)
    rough = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-2)
    exact = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-12)
    assert rough.n_not_converged == 0
    for neuron in range(neurons.shape[1]):
        values = [
            paper.objective(fit.weights[:, neuron], concepts, neurons[:, neuron], STRENGTH, L1_RATIO)
            for fit in (rough, exact)
        ]
        assert -1e-12 <= values[0] - values[1] <= rough.gaps[neuron] + 1e-12
        assert rough.gaps[neuron] <= 1e-2 / 2


def test_without_penalty_it_is_least_squares():
    concepts, neurons = make_problem(n_concepts=10)
    fit = solve_elastic_net(*moments(concepts, neurons), strength=0)
    expected = np.linalg.lstsq(concepts, neurons, rcond=None)[0]
    np.testing.assert_allclose(fit.weights, expected, atol=1e-10)


def test_a_neuron_does_not_depend_on_its_company():
    concepts, neurons = make_problem(n_neurons=9)
    gram, cross, variance = moments(concepts, neurons)
    together = solve_elastic_net(gram, cross, variance).weights
    for neuron in range(9):
        alone = solve_elastic_net(gram, cross[:, [neuron]], variance[[neuron]]).weights[:, 0]
        np.testing.assert_array_equal(alone, together[:, neuron])


def test_permuting_concepts_permutes_weights():
    concepts, neurons = make_problem()
    order = np.random.default_rng(1).permutation(concepts.shape[1])
    plain = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-13).weights
    permuted = solve_elastic_net(*moments(concepts[:, order], neurons), tolerance=1e-13).weights
    np.testing.assert_allclose(permuted, plain[order], atol=1e-7)


def test_a_concept_that_never_varies_keeps_weight_zero():
    concepts, neurons = make_problem()
    concepts[:, 5] = 0
    fit = solve_elastic_net(*moments(concepts, neurons))
    assert (fit.weights[5] == 0).all()
    assert np.isfinite(fit.weights).all()


def test_strong_penalty_leaves_nothing():
    concepts, neurons = make_problem()
    assert (solve_elastic_net(*moments(concepts, neurons), strength=2).weights == 0).all()


def test_not_converging_is_said_with_a_count():
    concepts, neurons = make_problem(nested=True)
    with pytest.warns(NotConvergedWarning, match=r"of \d+ of 7 neurons stopped with a duality gap above 1e-09"):
        fit = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-9, max_rounds=1)
    assert 0 < fit.n_not_converged <= 7
    assert (fit.gaps > 0).all()


@pytest.mark.parametrize(("setting", "value"), [("strength", -0.1), ("l1_ratio", 0.0), ("l1_ratio", 1.5)])
def test_settings_outside_their_range(setting, value):
    concepts, neurons = make_problem(n_concepts=3)
    with pytest.raises(ValueError, match=f"{setting} is {value}"):
        solve_elastic_net(*moments(concepts, neurons), **{setting: value})
