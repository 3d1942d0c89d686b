"""Moments: equal to the literal ones, independent of blocks to the last bit, mergeable."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linexp.solve import Moments, accumulate_moments, measure_columns


def make_rows(n_images=5000, n_concepts=6, n_neurons=4, seed=0):
    rng = np.random.default_rng(seed)
    concepts = rng.random((n_images, n_concepts)) ** 8
    neurons = rng.standard_normal((n_images, n_neurons)) * np.logspace(-6, 3, n_neurons) + 100
    return torch.from_numpy(concepts.astype(np.float32)), torch.from_numpy(neurons.astype(np.float32))


def cut(concepts, neurons, size):
    return [(concepts[i : i + size], neurons[i : i + size]) for i in range(0, len(concepts), size)]


def fields(moments: Moments):
    names = ("concept_mean", "neuron_mean", "gram", "cross", "neuron_variance")
    return {name: getattr(moments, name).numpy() for name in names}


def test_equal_to_the_literal_moments():
    concepts, neurons = make_rows()
    moments = accumulate_moments(cut(concepts, neurons, 777))
    found = fields(moments)
    p, q = concepts.numpy().astype(np.float64), neurons.numpy().astype(np.float64)
    both = np.cov(np.column_stack([p, q]).T, ddof=0)
    assert moments.n_images == 5000
    np.testing.assert_allclose(found["concept_mean"], p.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found["neuron_mean"], q.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found["gram"], both[:6, :6], rtol=1e-9, atol=1e-15)
    scale = np.outer(p.std(0), q.std(0))
    np.testing.assert_allclose(found["cross"] / scale, both[:6, 6:] / scale, atol=1e-12)
    np.testing.assert_allclose(found["neuron_variance"], q.var(0), rtol=1e-11)
    np.testing.assert_allclose(moments.concept_variance.numpy(), p.var(0), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 100, 2047, 2048, 2049, 4096, 10_000])
def test_block_size_does_not_change_a_bit(size):
    concepts, neurons = make_rows()
    expected = fields(accumulate_moments([(concepts, neurons)]))
    found = fields(accumulate_moments(cut(concepts, neurons, size)))
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@given(st.integers(1, 4999), st.integers(1, 4999))
def test_merging_parts_gives_the_whole(first, second):
    concepts, neurons = make_rows(n_concepts=3, n_neurons=2)
    bounds = [0, *sorted({first, second}), 5000]
    parts = [accumulate_moments([(concepts[a:b], neurons[a:b])]) for a, b in itertools.pairwise(bounds)]
    left, right = parts[0], parts[-1]
    for part in parts[1:]:
        left = left.merge(part)
    for part in reversed(parts[:-1]):
        right = part.merge(right)
    whole = accumulate_moments([(concepts, neurons)])
    assert left.n_images == right.n_images == 5000
    scales = {"gram": 1.0, "cross": 1e4, "concept_mean": 1.0, "neuron_mean": 1e2, "neuron_variance": 1e7}
    for name, value in fields(whole).items():
        assert np.abs(fields(left)[name] - fields(right)[name]).max() <= 1e-12 * scales[name], name
        assert np.abs(fields(left)[name] - value).max() <= 1e-12 * scales[name], name


def test_standardised_moments_are_correlations():
    concepts, neurons = make_rows()
    raw = accumulate_moments([(concepts, neurons)])
    unit = fields(raw.standardise(raw.concept_variance.sqrt(), raw.neuron_variance.sqrt()))
    expected = np.corrcoef(np.column_stack([concepts, neurons]).astype(np.float64).T)
    np.testing.assert_allclose(unit["gram"], expected[:6, :6], atol=1e-12)
    np.testing.assert_allclose(unit["cross"], expected[:6, 6:], atol=1e-12)
    np.testing.assert_allclose(unit["neuron_variance"], 1, rtol=1e-12)


def test_no_rows():
    with pytest.raises(ValueError, match="0 rows"):
        accumulate_moments([])
    with pytest.raises(ValueError, match="0 rows"):
        measure_columns([])


@pytest.mark.parametrize("size", [1, 3, 100])
def test_column_ranges(size):
    values = torch.from_numpy(np.random.default_rng(3).random((57, 4)))
    values[:, 2] = 0.25
    found = measure_columns(values.split(size), n_top=5)
    np.testing.assert_array_equal(found.least.numpy(), values.numpy().min(0))
    np.testing.assert_array_equal(found.most.numpy(), values.numpy().max(0))
    np.testing.assert_allclose(found.top_mean.numpy(), np.sort(values.numpy(), 0)[-5:].mean(0), rtol=1e-15)
    assert found.is_constant.tolist() == [False, False, True, False]


def test_top_mean_of_fewer_rows_than_asked():
    assert measure_columns([torch.tensor([[1.0], [0.0]])], n_top=5).top_mean.tolist() == [0.5]
