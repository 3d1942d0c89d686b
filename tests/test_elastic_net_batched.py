"""The elastic net in torch: equal to the compiled one to the gap, on the same hard problems."""

import numpy as np
import pytest
import torch

from linexp import NotConvergedWarning
from linexp.solve import solve_elastic_net
from linexp.solve.elastic_net_batched import solve_elastic_net_batched
from tests.problems import PROBLEMS
from tests.reference import paper
from tests.test_elastic_net import STRENGTH, make_problem, moments, objectives, with_duplicates


def tensors(arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("kind", [{}, {"nested": True}, {"binary": True}, {"n_concepts": 400, "n_images": 100}])
@pytest.mark.parametrize("strength", [0.3, 0.05, 0.01])
def test_equals_the_compiled_one(kind, strength):
    arrays = moments(*make_problem(**kind))
    compiled = solve_elastic_net(*arrays, strength=strength, l1_ratio=0.9, tolerance=1e-12)
    batched = solve_elastic_net_batched(*tensors(arrays), strength=strength, l1_ratio=0.9, tolerance=1e-12)
    assert batched.n_not_converged == 0
    assert batched.weights.shape == compiled.weights.shape
    np.testing.assert_allclose(batched.weights, compiled.weights, atol=1e-6)


@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_the_compiled_one_on_hard_problems(make):
    arrays = moments(*(paper.standardise(side, side) for side in make(0).train))
    compiled = solve_elastic_net(*arrays, l1_ratio=0.9, tolerance=1e-12)
    batched = solve_elastic_net_batched(*tensors(arrays), l1_ratio=0.9, tolerance=1e-12)
    assert compiled.n_not_converged == batched.n_not_converged == 0
    np.testing.assert_allclose(batched.weights, compiled.weights, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.99, 1.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_its_gap_bounds_the_distance_to_the_optimum_with_copied_concepts(l1_ratio, tolerance):
    arrays = moments(*with_duplicates())
    exact = solve_elastic_net(*arrays, l1_ratio=l1_ratio, tolerance=1e-12)
    batched = solve_elastic_net_batched(*tensors(arrays), l1_ratio=l1_ratio, tolerance=tolerance)
    above = objectives(*arrays, batched.weights, STRENGTH, l1_ratio) - objectives(
        *arrays, exact.weights, STRENGTH, l1_ratio
    )
    assert (above >= -1e-12).all()
    assert (above <= batched.gaps + 1e-12).all()
    assert (batched.gaps <= tolerance / 2).all()


@pytest.mark.parametrize("neurons_at_once", [1, 3, 100])
def test_the_batch_changes_nothing_but_rounding(neurons_at_once, monkeypatch):
    monkeypatch.setattr("linexp.solve.elastic_net_batched._MOST_VALUES", 1000 if neurons_at_once == 3 else 10**7)
    arrays = moments(*make_problem(nested=True))
    expected = solve_elastic_net(*arrays, tolerance=1e-12).weights
    batched = solve_elastic_net_batched(*tensors(arrays), tolerance=1e-12, neurons_at_once=neurons_at_once)
    np.testing.assert_allclose(batched.weights, expected, atol=1e-6)


def test_neurons_of_very_different_scales_and_concepts_without_variance():
    concepts, neurons = make_problem(n_neurons=7)
    concepts[:, 5] = 0
    neurons = neurons * 10.0 ** np.array([-6, -3, -1, 0, 1, 3, 6])
    neurons[:, 2] = 0
    arrays = moments(concepts, neurons)
    compiled, batched = solve_elastic_net(*arrays), solve_elastic_net_batched(*tensors(arrays))
    assert batched.n_not_converged == 0
    assert np.isfinite(batched.weights).all()
    assert np.isfinite(batched.gaps).all()
    assert (batched.weights[5] == 0).all()
    assert (batched.weights[:, :3] == 0).all()
    scale = np.sqrt(np.maximum(arrays[2], 1e-300))
    np.testing.assert_allclose(batched.weights / scale, compiled.weights / scale, atol=5e-3)


@pytest.mark.parametrize("strength", [0, 2])
def test_least_squares_and_nothing(strength):
    arrays = moments(*make_problem())
    fit = solve_elastic_net_batched(*tensors(arrays), strength=strength)
    np.testing.assert_array_equal(fit.weights, solve_elastic_net(*arrays, strength=strength).weights)


def test_not_converging_is_said_with_a_count():
    arrays = moments(*make_problem(nested=True))
    with pytest.warns(NotConvergedWarning, match=r"of \d+ of 7 neurons stopped with a duality gap above 1e-09"):
        fit = solve_elastic_net_batched(*tensors(arrays), tolerance=1e-9, max_rounds=1)
    assert 0 < fit.n_not_converged <= 7


@pytest.mark.parametrize(("setting", "value"), [("strength", -0.1), ("l1_ratio", 0.0), ("neurons_at_once", 0)])
def test_settings_outside_their_range(setting, value):
    arrays = moments(*make_problem(n_concepts=3))
    with pytest.raises(ValueError, match=f"{setting} is {value}"):
        solve_elastic_net_batched(*tensors(arrays), **{setting: value})
