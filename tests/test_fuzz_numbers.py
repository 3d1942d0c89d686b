"""Numbers and shapes nobody would choose: agreement with literal twins, finite results, or a sentence."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, event, given
from hypothesis import strategies as st

import linexp as le
from linexp.explainers.linear import Search
from linexp.forward.units import choose_units
from linexp.solve import Moments, accumulate_moments
from tests.fuzzing import REFUSED, TAKEN, cases
from tests.recording_twin import pool_literally

SCALES = st.sampled_from([1e-30, 1e-12, 1e-6, 1.0, 1e6, 1e12, 1e30])


def rows(seed: int, n_rows: int, n_columns: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_rows, n_columns))


@cases(60)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 9), SCALES, SCALES)
def test_merged_moments(seed: int, lengths: list[int], n_columns: int, scale: float, offset: float) -> None:
    """Whatever parts the rows are cut into, and in whatever order they come together: NumPy's covariances."""
    n_rows = sum(lengths)
    concepts = rows(seed, n_rows, n_columns)
    neurons = rows(seed + 1, n_rows, 3) * scale + offset * (offset <= 1e6 * scale)
    bounds = np.cumsum([0, *lengths])
    parts = [
        accumulate_moments([(torch.from_numpy(concepts[a:b]), torch.from_numpy(neurons[a:b]))])
        for a, b in itertools.pairwise(bounds)
    ]
    merged = parts[seed % len(parts)]
    for place, part in enumerate(parts):
        if place != seed % len(parts):
            merged = Moments.merge(merged, part)
    centred, deep = concepts - concepts.mean(0), neurons - neurons.mean(0)
    spread = np.sqrt(np.square(deep).mean(0)) + 1e-9 * abs(neurons).max(0)
    assert merged.n_images == n_rows
    np.testing.assert_allclose(merged.concept_mean.numpy(), concepts.mean(0), atol=1e-9)
    np.testing.assert_allclose(merged.gram.numpy(), centred.T @ centred / n_rows, atol=1e-9)
    np.testing.assert_allclose(merged.neuron_mean.numpy() / spread, neurons.mean(0) / spread, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(merged.cross.numpy() / spread, centred.T @ deep / n_rows / spread, atol=1e-6)
    np.testing.assert_allclose(merged.neuron_variance.numpy() / spread**2, deep.var(0) / spread**2, atol=1e-6)


@cases(150)
@given(
    st.lists(st.integers(0, 5), max_size=5) | st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.none() | st.integers(0, 5),
    st.sampled_from(["mean", "max", "token", "none"]),
    st.sampled_from(["first", "last"]),
    st.integers(0, 4),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool]),
)
def test_pooling(
    shape: list[int], n_images: int | None, pool: Any, channels: Any, token: int, kind: torch.dtype
) -> None:
    """Any shape and number format: what the literal twin says, or a sentence."""
    n_images = (shape or [0])[0] if n_images is None else n_images
    output = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(kind)
    try:
        found = choose_units(None, pool, channels, token).read(output, "layer", n_images)
    except ValueError as error:
        event(REFUSED)
        assert str(error).startswith("Layer 'layer' returns")  # noqa: PT017 - any of the sentences will do
        scalars = len(shape) in (1, 2) and pool != "token"
        tokens = len(shape) == 3 and (pool != "token" or token < shape[1]) and pool != "none"
        maps = len(shape) > 3 and pool in ("mean", "max")
        sound = kind.is_floating_point and shape[:1] == [n_images] and 0 not in shape
        assert not (sound and (scalars or tokens or maps))
    else:
        event(TAKEN)
        wanted = [pool_literally(one.double(), pool if len(shape) > 2 else "mean", channels, token) for one in output]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-5, atol=1e-6)


@cases(150)
@given(
    st.integers(20, 400) | st.integers(-5, 400) | st.just(2.5),
    st.integers(0, 99) | st.integers(-2, 2**70),
    st.permutations([0.7, 0.1, 0.2]).map(tuple)
    | st.just((0.5, 0.25, 0.25))
    | st.tuples(*[st.sampled_from([0.7, 0.1, 0.2, 0.5, 0.25, 0.0, -1.0, 1.0, 1e-9, math.nan, math.inf])] * 3),
)
def test_random_splits(n_images: Any, seed: int, fractions: tuple[float, float, float]) -> None:
    try:
        split = le.Split.random(n_images, seed, fractions)
    except (ValueError, TypeError) as error:
        event(REFUSED)
        assert str(error).endswith(".")  # noqa: PT017 - any of the sentences will do
        assert n_images < 20 or seed < 0 or n_images == 2.5 or sorted(fractions) != [0.1, 0.2, 0.7]
    else:
        event(TAKEN)
        parts = [part.tolist() for part in (split.train, split.val, split.test)]
        assert sorted(row for part in parts for row in part) == list(range(n_images))
        assert min(map(len, parts)) >= 2
        split.check(n_images)


ROWS = st.lists(st.integers(-1, 12) | st.sampled_from([2**63, 2**70]), max_size=5)
ODD = st.lists(st.floats() | st.booleans() | st.text(max_size=2) | st.none(), max_size=3)
Rows = list[Any]


@st.composite
def parts_of_rows(draw: st.DrawFn) -> tuple[Rows, Rows, Rows]:
    """Three parts that share no row, in any order, mostly of two rows or more."""
    rows = draw(st.permutations(range(draw(st.integers(3, 12)))))
    first, second = sorted(draw(st.tuples(*[st.integers(1, len(rows) - 1)] * 2)))
    return rows[:first], rows[first:second], rows[second:]


@cases(200)
@given(parts_of_rows() | st.tuples(ROWS, ROWS, ROWS | ODD))
def test_splits_of_rows(parts: tuple[Rows, Rows, Rows]) -> None:
    train, val, test = parts
    try:
        split = le.Split(train, val, test)
    except ValueError as error:
        event(REFUSED)
        assert str(error).endswith(".")  # noqa: PT017 - any of the sentences will do
        every = [*train, *val, *test]
        plain = all(type(row) is int and 0 <= row < 2**63 for row in every)
        assert not plain or len(set(every)) < len(every) or min(map(len, (train, val, test))) < 2
    else:
        event(TAKEN)
        assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [train, val, test]


def numbers_of(found: le.Explanations) -> list[float]:
    values: list[float | None] = []
    for item in found:
        values += [item.bias, item.val_correlation, item.val_error]
        values += [value for term in item.terms for value in (term.weight, term.error, term.kept)]
    return [value for value in values if value is not None]


@cases(25)
@pytest.mark.parametrize("search", ["greedy", "greedy-nonzero", "stepwise", "swaps", "top"])
@pytest.mark.filterwarnings("ignore::linexp.NotConvergedWarning")
@given(data=st.data())
def test_explaining(search: Search, data: Any) -> None:
    """Few images, equal, nested, rare and constant columns, dead and tiny and huge neurons: all numbers finite."""
    n_images = data.draw(st.integers(6, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    present = (rng.random((n_images, data.draw(st.integers(1, 8)))) < rng.random()).astype(float)
    kinds = data.draw(st.lists(st.sampled_from(["copy", "reverse", "ones", "zeros", "rare", "soft"]), max_size=4))
    extra = {
        "copy": present[:, 0],
        "reverse": 1 - present[:, 0],
        "ones": np.ones(n_images),
        "zeros": np.zeros(n_images),
    }
    extra |= {"rare": (np.arange(n_images) < 1).astype(float), "soft": rng.random(n_images)}
    present = np.column_stack([present, *(extra[kind] for kind in kinds)])
    noise = data.draw(st.sampled_from([0.0, 1e-9, 0.1, 10.0]))
    scales = data.draw(st.lists(SCALES | st.just(0.0), min_size=1, max_size=4))
    neurons = present @ rng.standard_normal((present.shape[1], len(scales)))
    neurons = (neurons + noise * rng.standard_normal(neurons.shape)) * scales + data.draw(
        st.sampled_from([0.0, 1.0, 100.0])
    )
    split = le.Split(*np.array_split(rng.permutation(n_images), 3))
    concepts = le.ConceptMatrix(present, [f"c{column}" for column in range(present.shape[1])])
    explainer = le.LinearExplainer(search=search, min_activity=0.1, n_groups=data.draw(st.sampled_from([0, 2, 20])))
    try:
        found = explainer.explain(le.ActivationMatrix(neurons), concepts, split)
    except ValueError as error:
        assert "concepts is left" in str(error)  # noqa: PT017 - the only reason there may be
        assume(False)
    assert np.isfinite(numbers_of(found)).all()
    assert all(abs(item.val_correlation or 0) <= 1 + 1e-9 for item in found)
    scores = le.CorrelationScorer().score(le.simulate(found, concepts), le.ActivationMatrix(neurons), split.test)
    assert bool((scores.defined.abs() <= 1).all())


@cases(80)
@given(data=st.data())
def test_scores(data: Any) -> None:
    """Any two tables: from -1 to 1, undefined just where the recorded one is constant, 0 where the other alone is."""
    n_rows, n_neurons = data.draw(st.integers(2, 30)), data.draw(st.integers(1, 4))
    values = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, 1.0, 1e-30])
    table = st.lists(st.lists(values, min_size=n_neurons, max_size=n_neurons), min_size=n_rows, max_size=n_rows)
    simulated, recorded = (le.ActivationMatrix(np.array(data.draw(table), dtype=np.float32)) for _ in range(2))
    scores = le.CorrelationScorer().score(simulated, recorded, range(n_rows))
    says_nothing, undefined = ((side.values == side.values[0]).all(0) for side in (simulated, recorded))
    assert scores.values.isnan().tolist() == undefined.tolist()
    assert scores.silent is not None
    assert scores.silent.tolist() == (says_nothing & ~undefined).tolist()
    assert not scores.values[scores.silent].any()
    assert bool((scores.defined.abs() <= 1).all())
