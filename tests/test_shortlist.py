"""Moments of shortlists: equal to those of all concepts, and the searches on them equal to the searches on all."""

import numpy as np
import pytest
import torch

from linexp.solve import (
    Shortlist,
    ShortlistMoments,
    Solution,
    accumulate_groups,
    accumulate_moments,
    accumulate_shortlist,
    jackknife,
    refit_among,
    search_greedy,
    search_top,
)
from tests.problems import PROBLEMS, elastic_net, make_problem, measure

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
    largest = np.argsort(-np.abs(elastic_net(measure(*problem)[0])), axis=0, kind="stable").T
    return Shortlist.of_lists([concepts[: 5 + neuron] for neuron, concepts in enumerate(largest)])


def assert_equal(found, expected, rtol=1e-9):
    assert found.n_images == expected.n_images
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-12, err_msg=name)


def taken_from(moments, shortlist):
    """Pick out of the moments of all concepts what a shortlist is about."""
    left, right = (shortlist.concepts[side] for side in shortlist.pairs)
    return ShortlistMoments(
        moments.n_images,
        shortlist,
        moments.concept_mean.numpy()[shortlist.concepts],
        moments.neuron_mean.numpy(),
        moments.gram.numpy()[left, right],
        moments.cross.numpy()[shortlist.concepts, shortlist.neurons],
        moments.neuron_variance.numpy(),
    )


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
    assert_equal(accumulate_shortlist(cut(problem[0], 100), shortlist), taken_from(whole, shortlist))


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


@pytest.mark.parametrize("max_terms", [1, 3, 100])
def test_refitting_is_the_same(problem, max_terms):
    moments = measure(*problem)
    expected = search_top(*moments, elastic_net(moments[0]), max_terms=max_terms)
    shortlist = Shortlist.of_terms(expected)
    few = [taken_from(part, shortlist) for part in moments]
    found = refit_among(*few, expected.concepts)
    np.testing.assert_array_equal(found.concepts, expected.concepts)
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_array_equal(found.val_correlation, expected.val_correlation)


@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_refitting_is_the_same_on_hard_problems(make):
    """Summed over the few concepts alone: the same terms as among all, and the same fit but for rounding."""
    hard = make(0)
    scales = hard.train[0].std(0), hard.train[1].std(0)
    moments = measure(hard.train, hard.val)
    expected = search_greedy(*moments, elastic_net(moments[0]))
    shortlist = Shortlist.of_terms(expected)
    few = [accumulate_shortlist([tensors(part)], shortlist).standardise(*scales) for part in (hard.train, hard.val)]
    found = refit_among(*few, expected.concepts)
    np.testing.assert_array_equal(found.concepts, expected.concepts)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-9)
    np.testing.assert_allclose(found.val_correlation, expected.val_correlation, atol=1e-9)


def test_jackknife_is_the_same(problem):
    """Whether moments of the shards are taken of everything or of the shortlist alone."""
    moments = measure(*problem)
    solution = search_greedy(*moments, elastic_net(moments[0]))
    shortlist = Shortlist.of_terms(solution)
    shards = [list(zip(*(np.array_split(side, 5) for side in part))) for part in problem]  # noqa: B905
    whole, few = (
        [[measured(tensors(rows)) for rows in part] for part in shards]
        for measured in (
            lambda rows: taken_from(accumulate_moments([rows]), shortlist),
            lambda rows: accumulate_shortlist([rows], shortlist),
        )
    )
    expected, found = jackknife(*whole, solution), jackknife(*few, solution)
    for name in ("weight_error", "val_error"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)


def test_neurons_without_any_concept():
    rows = (torch.rand(20, 3, dtype=torch.float64), torch.rand(20, 2, dtype=torch.float64))
    terms = Shortlist.of_terms(Solution(np.array([[1, -1], [-1, -1]]), np.zeros((2, 2)), np.zeros(2)))
    few = accumulate_shortlist([rows], terms)
    fitted = refit_among(few, few, np.array([[1, -1], [-1, -1]]))
    assert fitted.concepts.tolist() == [[1, -1], [-1, -1]]
    assert fitted.weights[0, 0] == pytest.approx(few.cross[0] / few.gram[0])


def test_no_rows():
    with pytest.raises(ValueError, match="0 rows"):
        accumulate_shortlist([], Shortlist(np.array([0]), np.array([0, 1])))


@pytest.mark.parametrize("n_groups", [1, 3, 20, 450])
def test_groups_in_one_pass_are_those_of_one_at_a_time(problem, shortlist, n_groups):
    found = accumulate_groups(cut(problem[0], 100), n_groups, shortlist)
    for group, moments in enumerate(found):
        rows = tuple(side[group::n_groups] for side in problem[0])
        assert_equal(moments, accumulate_shortlist([tensors(rows)], shortlist))


@pytest.mark.parametrize("size", [1, 255, 1020, 1021, 3000])
def test_groups_do_not_depend_on_the_block_size(size):
    rng = np.random.default_rng(0)
    rows = rng.random((3000, 5)), rng.standard_normal((3000, 2))  # several pieces, the last of them not whole
    few = Shortlist.of_lists([np.array([4, 1]), np.array([2])])
    expected, found = (accumulate_groups(cut(rows, width), 20, few) for width in (3000, size))
    for one, other in zip(expected, found, strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    twelfth = accumulate_shortlist([tensors(tuple(side[12::20] for side in rows))], few)
    assert_equal(found[12], twelfth)


def test_fewer_rows_than_groups(problem, shortlist):
    with pytest.raises(ValueError, match=r"There are 7 rows for 8 groups\. Give at least that many\."):
        accumulate_groups([tuple(side[:7] for side in tensors(problem[0]))], 8, shortlist)
