"""Moments of shortlists: equal to those of all concepts, and the searches on them equal to the searches on all."""

import numpy as np
import pytest
import torch

from linexp.solve import (
    Shortlist,
    ShortlistMoments,
    Solution,
    accumulate_moments,
    accumulate_shortlist,
    jackknife,
    refit_among,
    search_greedy,
    search_greedy_among,
    search_top,
    search_top_among,
)
from tests.test_searches import elastic_net, make_problem, measure

FIELDS = ("concept_mean", "neuron_mean", "gram", "cross", "neuron_variance")


def tensors(part):
    return tuple(map(torch.from_numpy, part))


def cut(part, size):
    concepts, neurons = tensors(part)
    return zip(concepts.split(size), neurons.split(size), strict=True)


@pytest.fixture
def problem():
    return make_problem(duplicate=False)


@pytest.fixture
def shortlist(problem):
    return Shortlist.of_weights(elastic_net(measure(*problem)[0]))


def assert_equal(found, expected, rtol=1e-9):
    assert found.n_images == expected.n_images
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-12, err_msg=name)


def test_lists_are_ranked_by_signed_weight():
    guide = np.array([[0.0, 1.0, 0.0], [2.0, -1.0, 0.0], [-3.0, 1.0, 0.0], [5.0, 0.0, 0.0]])
    shortlist = Shortlist.of_weights(guide)
    assert shortlist.concepts.tolist() == [3, 1, 2, 0, 2, 1]
    assert shortlist.starts.tolist() == [0, 3, 6, 6]
    assert shortlist.squares.tolist() == [0, 9, 18, 18]
    assert shortlist.neurons.tolist() == [0, 0, 0, 1, 1, 1]
    assert [side[9:13].tolist() for side in shortlist.pairs] == [[3, 3, 3, 4], [3, 4, 5, 3]]


def test_equal_to_the_literal_moments(problem, shortlist):
    concepts, neurons = problem[0]
    found = accumulate_shortlist(cut(problem[0], 100), shortlist)
    for neuron in range(neurons.shape[1]):
        first, last = shortlist.starts[neuron : neuron + 2]
        columns = np.column_stack([concepts[:, shortlist.concepts[first:last]], neurons[:, neuron]])
        both = np.cov(columns.T, ddof=0).reshape(last - first + 1, -1)
        gram = found.gram[shortlist.squares[neuron] : shortlist.squares[neuron + 1]].reshape(last - first, -1)
        np.testing.assert_allclose(gram, both[:-1, :-1], atol=1e-13)
        np.testing.assert_allclose(found.cross[first:last], both[:-1, -1], atol=1e-13)
        np.testing.assert_allclose(found.neuron_variance[neuron], both[-1, -1], rtol=1e-12)
        np.testing.assert_allclose(found.concept_mean[first:last], columns.mean(0)[:-1], rtol=1e-12)
        np.testing.assert_allclose(found.neuron_mean[neuron], columns.mean(0)[-1], rtol=1e-12)


def test_equal_to_what_is_taken_from_the_moments_of_all(problem, shortlist):
    whole = accumulate_moments([tensors(problem[0])])
    assert_equal(accumulate_shortlist(cut(problem[0], 100), shortlist), ShortlistMoments.taken_from(whole, shortlist))


@pytest.mark.parametrize("size", [1, 100, 255, 256, 257, 450])
def test_block_size_does_not_change_a_bit(problem, shortlist, size):
    expected = accumulate_shortlist([tensors(problem[0])], shortlist)
    found = accumulate_shortlist(cut(problem[0], size), shortlist)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_number_formats(problem, shortlist, dtype):
    rows = tuple(part.to(dtype) for part in tensors(problem[0]))
    expected = accumulate_shortlist([tuple(part.double() for part in rows)], shortlist)
    assert_equal(accumulate_shortlist([rows], shortlist), expected)


def test_merging_and_standardising_parts_gives_the_whole(problem, shortlist):
    concepts, neurons = problem[0]
    scales = concepts.std(0), neurons.std(0)
    parts = [accumulate_shortlist([tensors((concepts[a:b], neurons[a:b]))], shortlist) for a, b in ((0, 7), (7, 450))]
    whole = accumulate_shortlist([tensors((concepts / scales[0], neurons / scales[1]))], shortlist)
    assert_equal(parts[0].merge(parts[1]).standardise(*scales), whole)


def test_all_equal_columns_have_no_variance_whatever_their_value():
    rows = torch.full((1000, 1), 0.1, dtype=torch.float64) / 3
    shortlist = Shortlist(np.array([0]), np.array([0, 1]))
    found = accumulate_shortlist([(rows, rows * 7)], shortlist)
    assert found.gram.item() == found.cross.item() == found.neuron_variance.item() == 0


@pytest.mark.parametrize("settings", [{}, {"max_terms": 2}, {"n_candidates": 3}, {"min_gain": 0.1, "n_candidates": 1}])
def test_greedy_search_is_the_same(problem, settings):
    moments = measure(*problem)
    guide = elastic_net(moments[0])
    shortlist = Shortlist.of_weights(guide)
    expected = search_greedy(*moments, guide, **settings)
    found = search_greedy_among(*(ShortlistMoments.taken_from(part, shortlist) for part in moments), **settings)
    width = found.concepts.shape[1]
    np.testing.assert_array_equal(found.concepts, expected.concepts[:, :width])
    assert (expected.concepts[:, width:] == -1).all()
    np.testing.assert_array_equal(found.weights, expected.weights[:, :width])
    np.testing.assert_array_equal(found.val_correlation, expected.val_correlation)


@pytest.mark.parametrize("max_terms", [1, 3, 100])
def test_largest_weights_are_the_same(problem, max_terms):
    moments = measure(*problem)
    guide = elastic_net(moments[0])
    shortlist = Shortlist.of_weights(guide)
    expected = search_top(*moments, guide, max_terms=max_terms)
    few = [ShortlistMoments.taken_from(part, shortlist) for part in moments]
    found = search_top_among(*few, max_terms=max_terms)
    width = found.concepts.shape[1]
    np.testing.assert_array_equal(found.concepts, expected.concepts[:, :width])
    np.testing.assert_array_equal(found.weights, expected.weights[:, :width])


def test_jackknife_is_the_same(problem):
    def shards(part):
        return [accumulate_moments([tensors(rows)]) for rows in zip(*(np.array_split(side, 5) for side in part))]  # noqa: B905

    train, val = (shards(part) for part in problem)
    guide = elastic_net(measure(*problem)[0])
    shortlist = Shortlist.of_weights(guide)
    solution = search_greedy(*measure(*problem), guide)
    few = [[ShortlistMoments.taken_from(shard, shortlist) for shard in side] for side in (train, val)]
    expected = jackknife(train, val, solution, lambda *rest: search_greedy(*rest, guide))
    found = jackknife(*few, solution, search_greedy_among)
    for name in ("weight_error", "val_error", "kept"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)
    without_search = jackknife(*few, solution, None)
    assert np.isnan(without_search.kept).all()
    np.testing.assert_array_equal(without_search.weight_error, found.weight_error)


def test_neurons_without_any_concept():
    rows = (torch.rand(20, 3, dtype=torch.float64), torch.rand(20, 2, dtype=torch.float64))
    nothing = Shortlist.of_weights(np.zeros((3, 2)))
    few = accumulate_shortlist([rows], nothing)
    for solution in (search_greedy_among(few, few), search_top_among(few, few)):
        assert (solution.concepts == -1).all()
        assert np.isnan(solution.val_correlation).all()
    terms = Shortlist.of_terms(Solution(np.array([[1, -1], [-1, -1]]), np.zeros((2, 2)), np.zeros(2)))
    few = accumulate_shortlist([rows], terms)
    fitted = refit_among(few, few, np.array([[1, -1], [-1, -1]]))
    assert fitted.concepts.tolist() == [[1, -1], [-1, -1]]
    assert fitted.weights[0, 0] == pytest.approx(few.cross[0] / few.gram[0])


def test_no_rows():
    with pytest.raises(ValueError, match="0 rows"):
        accumulate_shortlist([], Shortlist(np.array([0]), np.array([0, 1])))
