"""Standard errors by leaving out shards: equal to literal refits on rows, and honest on planted data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from linexp.solve import (
    Shortlist,
    Solution,
    accumulate_moments,
    accumulate_shortlist,
    jackknife,
    search_greedy,
    solve_elastic_net,
)
from tests.reference import paper
from tests.problems import make_problem


def moments_of(concepts, neurons):
    return accumulate_moments([(torch.from_numpy(concepts), torch.from_numpy(neurons))])


def leave_out(train, val, n_shards, solution):
    """The errors of a solution from so many shards of each part."""
    terms = Shortlist.of_terms(solution)

    def shards(part):
        pairs = zip(*(torch.from_numpy(side).tensor_split(n_shards) for side in part), strict=True)
        return [accumulate_shortlist([pair], terms) for pair in pairs]

    return jackknife(shards(train), shards(val), solution)


def search(train, val):
    guide = solve_elastic_net(train.gram.numpy(), train.cross.numpy(), train.neuron_variance.numpy()).weights
    return search_greedy(train, val, guide)


def without(part, shard, n_shards):
    """The rows of all shards but one."""
    return tuple(np.concatenate([*p[:shard], *p[shard + 1 :]]) for p in (np.array_split(s, n_shards) for s in part))


def test_equals_literal_refits():
    # Of two equal columns rounding would choose, in each refit anew.
    train, val = make_problem(duplicate=False)
    n_shards = 7
    solution = search(moments_of(*train), moments_of(*val))
    found = leave_out(train, val, n_shards, solution)
    for neuron, concepts in enumerate(solution.concepts):
        used = concepts[concepts >= 0]
        weights, correlations = [], []
        for shard in range(n_shards):
            rest, rest_val = (without(part, shard, n_shards) for part in (train, val))
            fitted, bias = paper.least_squares(rest[0][:, used], rest[1][:, neuron])
            weights.append(fitted)
            correlations.append(paper.correlation(rest_val[0][:, used] @ fitted + bias, rest_val[1][:, neuron]))
        factor = (n_shards - 1) / n_shards
        expected = np.sqrt(factor * np.square(weights - np.mean(weights, 0)).sum(0))
        np.testing.assert_allclose(found.weight_error[neuron][: len(used)], expected, rtol=1e-6)
        expected = np.sqrt(factor * np.square(np.array(correlations) - np.mean(correlations)).sum())
        assert found.val_error[neuron] == pytest.approx(expected, rel=1e-6)
        assert np.isnan(found.weight_error[neuron][len(used) :]).all()


def test_no_term_no_error():
    train, val = make_problem(n_neurons=3)
    nothing = Solution(np.full((3, 2), -1), np.zeros((3, 2)), np.full(3, np.nan))
    found = leave_out(train, val, 4, nothing)
    assert np.isnan(found.weight_error).all()
    assert np.isnan(found.val_error).all()


def test_a_term_of_one_shard_has_no_error():
    """Without the shard that has all of a concept's positives there is no weight for it: the error is not known."""
    train, val = make_problem(n_neurons=2)
    train[0][:, 7] = 0
    train[0][:9, 7] = 1
    one = Solution(np.array([[0, 7], [0, -1]]), np.ones((2, 2)), np.full(2, np.nan))
    found = leave_out(train, val, 5, one)
    assert np.isnan(found.weight_error[0]).all()
    assert np.isfinite(found.weight_error[1][0])


def test_shards():
    train, val = make_problem(n_neurons=2)
    one = Solution(np.array([[0], [1]]), np.ones((2, 1)), np.full(2, np.nan))
    with pytest.raises(ValueError, match=r"The number of shards is 1\. It must be at least 2\."):
        leave_out(train, val, 1, one)


def test_intervals_cover_the_planted_weights():
    """95 % intervals of given terms hold the true weight about as often as they say, for 20 shards."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(60):
        concepts = (rng.random((800, 3)) < (0.1, 0.3, 0.5)).astype(np.float64)
        weights = rng.uniform(0.5, 3, (3, 5))
        neurons = concepts @ weights + rng.standard_normal((800, 5)) * rng.uniform(0.5, 2, 5)
        parts = (concepts[:700], neurons[:700]), (concepts[700:], neurons[700:])
        given = Solution(np.tile([0, 1, 2], (5, 1)), np.zeros((5, 3)), np.full(5, np.nan))
        found = leave_out(parts[0], parts[1], 20, given)
        centred, target = concepts[:700] - concepts[:700].mean(0), neurons[:700] - neurons[:700].mean(0)
        fitted = np.linalg.lstsq(centred, target, rcond=None)[0]
        inside.append(np.abs(fitted - weights) <= 2.093 * found.weight_error.T)  # Student's t, 19 degrees of freedom
    assert 0.93 < np.mean(inside) < 0.97
