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
    search_top,
    solve_elastic_net,
)
from tests.problems import PROBLEMS, elastic_net, make_problem, measure
from tests.reference import paper


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
    solution = search(moments_of(*train), moments_of(*val))
    assert equals_literal_refits(train, val, solution, 7) == (solution.concepts >= 0).sum()


@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_literal_refits_on_hard_problems(make):
    problem = make(0)
    solution = search(*measure(problem.train, problem.val))
    given = search_top(*(moments_of(*part) for part in (problem.train, problem.val)), elastic_net_of(problem))
    n_known = equals_literal_refits(problem.train, problem.val, solution, 5)
    # Ten terms of each neuron: where classes of one image are among them, none has an error.
    assert n_known + equals_literal_refits(problem.train, problem.val, given, 5) > 0


def elastic_net_of(problem):
    return elastic_net(measure(problem.train, problem.val)[0])


def equals_literal_refits(train, val, solution, n_shards):
    """Hold every error against refits on rows; return how many weights have one.

    Where a fit without a shard does not exist, or does not vary on the images to choose by, there is none.
    """
    found = leave_out(train, val, n_shards, solution)
    factor, n_known = (n_shards - 1) / n_shards, 0
    for neuron, concepts in enumerate(solution.concepts):
        used = concepts[concepts >= 0]
        weights, correlations = [], []
        for shard in range(n_shards):
            rest, rest_val = (without(part, shard, n_shards) for part in (train, val))
            fitted, bias = paper.least_squares(rest[0][:, used], rest[1][:, neuron])
            centred = rest[0][:, used] - rest[0][:, used].mean(0)
            exists = np.linalg.matrix_rank(centred) == len(used)
            weights.append(fitted if exists else np.full(len(used), np.nan))
            reached = paper.correlation(rest_val[0][:, used] @ fitted + bias, rest_val[1][:, neuron])
            correlations.append(reached if exists and len(used) else np.nan)
        expected = np.sqrt(factor * np.square(weights - np.mean(weights, 0)).sum(0))
        np.testing.assert_allclose(found.weight_error[neuron][: len(used)], expected, rtol=1e-6, atol=1e-9)
        n_known += int(np.isfinite(expected).sum())
        expected = np.sqrt(factor * np.square(np.array(correlations) - np.mean(correlations)).sum())
        assert found.val_error[neuron] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
        assert np.isnan(found.weight_error[neuron][len(used) :]).all()
    return n_known


def test_no_term_no_error():
    train, val = make_problem(n_neurons=3)
    nothing = Solution(np.full((3, 2), -1), np.zeros((3, 2)), np.full(3, np.nan))
    found = leave_out(train, val, 4, nothing)
    assert np.isnan(found.weight_error).all()
    assert np.isnan(found.val_error).all()


@pytest.mark.parametrize("shard", [0, 2, 4])
def test_a_term_of_one_shard_has_no_error(shard):
    """Without the shard that has all of a concept's positives there is no weight for it: the error is not known."""
    train, val = make_problem(n_neurons=2)
    train[0][:, 7] = 0
    train[0][np.array_split(np.arange(len(train[0])), 5)[shard][:9], 7] = 1
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
