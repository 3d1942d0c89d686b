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


def test_float64_rows_have_float64_products():
    concepts, neurons = (part.double() for part in make_rows())
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
    concepts, neurons = (part.double() for part in make_rows(n_concepts=3, n_neurons=2))
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
    concepts, neurons = (part.double() for part in make_rows())
    raw = accumulate_moments([(concepts, neurons)])
    unit = fields(raw.standardise(raw.concept_variance.sqrt(), raw.neuron_variance.sqrt()))
    expected = np.corrcoef(np.column_stack([concepts, neurons]).astype(np.float64).T)
    np.testing.assert_allclose(unit["gram"], expected[:6, :6], atol=1e-12)
    np.testing.assert_allclose(unit["cross"], expected[:6, 6:], atol=1e-12)
    np.testing.assert_allclose(unit["neuron_variance"], 1, rtol=1e-12)


def make_hard_rows(n_images=50_000, n_concepts=80, n_neurons=24, seed=0):
    """Presence as it is in practice, mostly near 0, and everything that may go wrong with it, in float32."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n_images, 8)) @ rng.standard_normal((8, n_concepts)) + np.linspace(
        -24, -1, n_concepts
    )
    concepts = (1 / (1 + np.exp(-logits))).astype(np.float32)
    concepts[:, 0] = 0
    concepts[rng.choice(n_images, 5, replace=False), 0] = 1
    concepts[:, 1] = 1 - concepts[:, 0]
    concepts[:, 2] = 0.3
    concepts[:, 3] = concepts[:, 40]
    concepts[:, 4] = np.maximum(concepts[:, 41], concepts[:, 42])
    concepts[:, 5] = np.sort(concepts[:, 5])  # its mean drifts from chunk to chunk
    concepts[:, 6] = 1 - 1e-6 * rng.integers(0, 2, n_images)  # varies in the last bits only
    concepts[:, 7] = rng.random(n_images) < 0.0005
    concepts[::32, 8] = 1  # what a sample with a stride takes for its typical value is not
    neurons = concepts @ rng.standard_normal((n_concepts, n_neurons)) + 0.1 * rng.standard_normal((n_images, n_neurons))
    neurons = neurons * np.logspace(-6, 6, n_neurons) + np.logspace(-3, 3, n_neurons)
    neurons[:, 0] = 3.25
    neurons[:, 1] = np.maximum(neurons[:, 1], 0)
    neurons[:, 12] = neurons[:, 12].astype(np.float16)
    return torch.from_numpy(concepts), torch.from_numpy(neurons.astype(np.float32))


def test_float32_products_are_as_good_as_promised():
    concepts, neurons = make_hard_rows()
    moments = accumulate_moments(cut(concepts, neurons, 3000))
    found = fields(moments)
    p, q = concepts.numpy().astype(np.float64), neurons.numpy().astype(np.float64)
    centred_p, centred_q = p - p.mean(0), q - q.mean(0)
    centred_p[:, 2], centred_q[:, 0] = 0, 0
    n_images = len(p)
    spread_p, spread_q = (np.where(values.std(0) > 0, values.std(0), 1) for values in (centred_p, centred_q))
    gram, cross = centred_p.T @ centred_p / n_images, centred_p.T @ centred_q / n_images
    assert (np.abs(found["gram"] - gram) / np.outer(spread_p, spread_p)).max() <= 5e-7  # promised: 1e-6
    assert (np.abs(found["cross"] - cross) / np.outer(spread_p, spread_q)).max() <= 5e-7
    np.testing.assert_array_equal(found["gram"], found["gram"].T)
    np.testing.assert_allclose(found["concept_mean"], p.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found["neuron_mean"], q.mean(0), rtol=1e-10)
    np.testing.assert_allclose(moments.concept_variance.numpy(), (centred_p**2).mean(0), rtol=1e-11)
    np.testing.assert_allclose(found["neuron_variance"], (centred_q**2).mean(0), rtol=1e-9)
    assert moments.concept_variance[2] == 0
    assert found["neuron_variance"][0] == 0
    assert (found["gram"][2] == 0).all()
    assert (found["cross"][:, 0] == 0).all()


def test_all_equal_columns_have_no_variance_whatever_their_value():
    value = torch.full((5001, 1), 0.1, dtype=torch.float64) / 3
    for rows in (value, value.float(), value.half()):
        moments = accumulate_moments(cut(rows, rows * 7, 1000))
        assert moments.gram.item() == moments.cross.item() == moments.neuron_variance.item() == 0
        assert moments.concept_mean.item() == rows[0].item()


def test_float16_rows_are_summed_like_float32_ones():
    concepts, neurons = (part.half() for part in make_rows())
    found = fields(accumulate_moments([(concepts, neurons)]))
    for name, value in fields(accumulate_moments([(concepts.float(), neurons.float())])).items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_number_of_threads_does_not_change_a_bit():
    rows = make_hard_rows(9000, 700, 300)
    n_threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append((fields(accumulate_moments([rows])), measure_columns([rows[0]])))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(n_threads)
    for other, columns in found[1:]:
        for name, value in found[0][0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)
        assert torch.equal(columns.top_mean, found[0][1].top_mean)


def test_a_neuron_does_not_depend_on_its_neighbours():
    concepts, neurons = make_hard_rows(5000, 60, 300)
    whole = accumulate_moments([(concepts, neurons)])
    some = torch.tensor([299, 4, 150])
    part = accumulate_moments([(concepts, neurons[:, some])])
    np.testing.assert_array_equal(part.cross.numpy(), whole.cross[:, some].numpy())
    np.testing.assert_array_equal(part.gram.numpy(), whole.gram.numpy())
    np.testing.assert_array_equal(part.neuron_variance.numpy(), whole.neuron_variance[some].numpy())


def test_many_chunks(monkeypatch):
    monkeypatch.setattr("linexp.solve.moments.CHUNK_ROWS", 50)  # more of them than wait to be added
    concepts, neurons = (part.double() for part in make_rows())
    found = fields(accumulate_moments([(concepts, neurons)]))
    both = np.cov(np.column_stack([concepts, neurons]).T, ddof=0)
    np.testing.assert_allclose(found["gram"], both[:6, :6], rtol=1e-9, atol=1e-15)
    scale = np.sqrt(np.outer(np.diag(both)[:6], np.diag(both)[6:]))
    np.testing.assert_allclose(
        found["cross"] / scale, both[:6, 6:] / scale, atol=1e-8
    )  # a mean of 100, a spread of 1e-6


def test_what_the_user_allows_networks_does_not_reach_the_moments():
    rows = make_rows()
    expected = fields(accumulate_moments([rows]))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            found = fields(accumulate_moments([rows]))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_way_of_other_devices_gives_the_same(monkeypatch):
    rows = make_hard_rows(5000, 600, 20)
    expected = fields(accumulate_moments([rows]))
    monkeypatch.setattr("linexp._internal.threads._on_threads", lambda device: False)
    for name, value in fields(accumulate_moments([rows])).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-9, err_msg=name)


def test_a_failing_piece_of_work_is_heard_of_and_leaves_the_threads_as_they_were():
    n_threads = torch.get_num_threads()
    blocks = [(torch.rand(10, 3), torch.rand(10, 2)), (torch.rand(10, 3), torch.rand(9, 2))]
    with pytest.raises(RuntimeError):
        accumulate_moments(blocks)
    assert torch.get_num_threads() == n_threads


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
