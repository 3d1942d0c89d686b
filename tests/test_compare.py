"""Paired differences: the textbook's t interval, on the neurons both have; what cannot be compared is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import linexp as le
from linexp.score import Origin


def make(values: list[float], neurons: tuple[int, ...] | None = None, metric: str = "correlation", **origin: str):
    tensor = torch.tensor(values, dtype=torch.float64)
    return le.Scores(tensor, neurons or tuple(range(len(values))), metric, 10, None, Origin(**origin))


def test_by_hand():
    found = le.compare_scores(make([0.5, 0.7, 0.9], method="A"), make([0.4, 0.5, 0.8], method="B"))
    assert (found.first, found.second, found.metric, found.n_neurons) == ("A", "B", "correlation", 3)
    sem = np.std([0.1, 0.2, 0.1], ddof=1) / math.sqrt(3)
    assert found.mean == pytest.approx(0.4 / 3)
    assert found.sem == pytest.approx(sem)
    assert found.high - found.mean == pytest.approx(4.302653 * sem, rel=1e-6)  # t of 2 degrees of freedom
    assert found.mean - found.low == pytest.approx(4.302653 * sem, rel=1e-6)
    assert str(found) == f"A − B: correlation +0.1333 ({found.low:+.4f} to {found.high:+.4f}, 3 neurons)"
    narrow = le.compare_scores(make([0.5, 0.7, 0.9]), make([0.4, 0.5, 0.8]), confidence=0.5)
    assert narrow.high - narrow.mean == pytest.approx(0.816497 * sem, rel=1e-5)
    assert (narrow.first, narrow.second) == ("first", "second")


def test_neurons_are_paired_by_identifier_and_undefined_ones_left_out():
    nan = math.nan
    first = make([0.1, 0.2, nan, 0.4, 0.9], (3, 5, 7, 9, 11))
    second = make([0.3, nan, 0.3, 0.0, 0.5], (9, 5, 7, 3, 1))
    found = le.compare_scores(first, second)
    assert found.n_neurons == 2
    assert found.mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("n", "known"), [(0, [True, True, True]), (1, [False, True, True]), (2, [False, False, False])]
)
def test_too_few_neurons(n: int, known: list[bool]):
    found = le.compare_scores(make([0.5, 0.25][:n]), make([0.25, 0.25][:n]))
    assert [math.isnan(number) for number in (found.mean, found.sem, found.low)] == known


def test_pairing_sees_what_two_means_hide():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 1, 200)
    better = hard + 0.01 + 0.01 * rng.standard_normal(200)
    found = le.compare_scores(make(better.tolist()), make(hard.tolist()))
    assert found.low > 0.005
    assert make(hard.tolist()).sem > found.mean


def test_the_interval_holds_what_it_promises():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = le.compare_scores(make(rng.normal(0.3, 1, 6).tolist()), make([0.0] * 6), confidence=0.8)
        held += found.low <= 0.3 <= found.high
    assert held / 400 == pytest.approx(0.8, abs=0.05)


# From printed tables of Student's t; all of the distribution lies within infinity.
@pytest.mark.parametrize(
    ("confidence", "n_neurons", "value"),
    [(0.95, 2, 12.706), (0.95, 6, 2.571), (0.99, 11, 3.169), (0.9, 31, 1.697), (0.95, 1001, 1.962), (1, 5, math.inf)],
)
def test_how_far_the_interval_reaches(confidence: float, n_neurons: int, value: float):
    values = np.random.default_rng(0).normal(size=n_neurons).tolist()
    found = le.compare_scores(make(values), make([0.0] * n_neurons), confidence=confidence)
    assert (found.high - found.mean) / found.sem == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "cosine"}, r"The scores are a correlation and a cosine\. Compare scores of one metric"),
        ({"simulator": "s"}, r"The simulator of one score is 'r', of the other 's'\. Score with the same"),
        ({"part": "val"}, "The part of one score is 'test', of the other 'val'"),
        ({"images": "g"}, r"The scores are of different images\. Score on the same"),
    ],
)
def test_what_cannot_be_compared(change: dict[str, str], said: str):
    origin = {"simulator": "r", "images": "f", "part": "test"}
    with pytest.raises(ValueError, match=said):
        le.compare_scores(make([0.1, 0.2], **origin), make([0.1, 0.2], **{**origin, **change}))


def test_what_does_not_say_where_it_is_from_is_compared_all_the_same():
    known = make([0.5, 0.7], method="A", simulator="r", images="f", part="test")
    unknown = le.Scores(torch.tensor([0.4, 0.5]), (0, 1), "correlation", 10)
    assert unknown.origin is None
    for first, second, names in (
        (known, unknown, ("A", "second")),
        (unknown, known, ("first", "A")),
        (unknown, unknown, ("first", "second")),
    ):
        found = le.compare_scores(first, second)
        assert (found.first, found.second, found.n_neurons) == (*names, 2)
        assert found.mean == pytest.approx(float((first.values - second.values).mean()), abs=1e-6)


def test_refused():
    scores = make([0.1, 0.2])
    with pytest.raises(ValueError, match="The scores are of 10 and of 9 images"):
        le.compare_scores(scores, le.Scores(scores.values, (0, 1), "correlation", 9))
    with pytest.raises(ValueError, match=r"confidence is 1\.5\. It must lie between 0 and 1"):
        le.compare_scores(scores, scores, confidence=1.5)
    with pytest.raises(KeyError, match="Neuron 4 is not among the 2 scored ones"):
        scores.only([1, 4])


def test_some_scores():
    scores = le.Scores(torch.tensor([0.1, 0.2, 0.3]), (4, 5, 6), "f1", 9, torch.tensor([1.0, 2.0, 3.0]), Origin("m"))
    part = scores.only([6, 4])
    assert (part.neurons, part.metric, part.n_images, part.origin) == ((6, 4), "f1", 9, Origin("m"))
    assert (part.of(6), part.errors.tolist()) == (scores.of(6), [3.0, 1.0])  # pyright: ignore[reportOptionalMemberAccess]
