"""Correlation scores: literal, scale-free, undefined where they are, aligned by neuron."""

import math

import numpy as np
import pytest
import torch

import linexp as le
from tests.reference import paper


def make(seed=0, n_images=400, n_neurons=600):
    rng = np.random.default_rng(seed)
    recorded = rng.standard_normal((n_images, n_neurons)).astype(np.float32)
    simulated = (recorded + rng.uniform(0, 5, n_neurons) * rng.standard_normal((n_images, n_neurons))).astype(
        np.float32
    )
    return le.ActivationMatrix(simulated, images="f"), le.ActivationMatrix(recorded, images="f")


def test_equals_the_literal_correlation():
    simulated, recorded = make()
    rows = list(range(7, 400, 3))
    scores = le.CorrelationScorer().score(simulated, recorded, rows)
    expected = [
        paper.correlation(simulated.values[rows, n].double().numpy(), recorded.values[rows, n].double().numpy())
        for n in range(600)
    ]
    np.testing.assert_allclose(scores.values.numpy(), expected, atol=1e-12)
    assert scores.mean == pytest.approx(np.mean(expected))
    assert scores.sem == pytest.approx(np.std(expected, ddof=1) / math.sqrt(600))
    assert (scores.metric, scores.n_images, scores.n_undefined) == ("correlation", len(rows), 0)
    assert scores.of(599) == pytest.approx(expected[599])


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_scale_and_shift_do_not_matter(scale):
    simulated, recorded = make(n_neurons=5)
    rows = range(400)
    expected = le.CorrelationScorer().score(simulated, recorded, rows).values
    moved = le.ActivationMatrix(simulated.values.double() * scale + 3 * scale, images="f")
    np.testing.assert_allclose(le.CorrelationScorer().score(moved, recorded, rows).values, expected, atol=1e-9)


def test_neurons_are_matched_by_identifier():
    simulated, recorded = make(n_neurons=6)
    full = le.CorrelationScorer().score(simulated, recorded, range(400))
    part = le.CorrelationScorer().score(simulated.select([4, 1]), recorded, range(400))
    assert part.neurons == (4, 1)
    assert part.values.tolist() == [full.of(4), full.of(1)]


def test_constant_sides_are_undefined_counted_and_left_out():
    simulated, recorded = make(n_neurons=4)
    flat, dead = simulated.values.clone(), recorded.values.clone()
    flat[:, 1] = 0.1
    dead[:, 2] = -3.0
    scores = le.CorrelationScorer().score(le.ActivationMatrix(flat), le.ActivationMatrix(dead), range(400))
    assert scores.values.isnan().tolist() == [False, True, True, False]
    assert scores.n_undefined == 2
    assert scores.mean == pytest.approx(float(scores.values[[0, 3]].mean()))
    assert "2 neurons, 2 undefined, 400 images" in str(scores)


def test_all_undefined_has_no_mean():
    dead = le.ActivationMatrix(torch.zeros(5, 2))
    scores = le.CorrelationScorer().score(dead, dead, range(5))
    assert math.isnan(scores.mean)
    assert math.isnan(scores.sem)


def test_csv(tmp_path):
    simulated, recorded = make(n_neurons=2)
    dead = recorded.values.clone()
    dead[:, 1] = 0
    scores = le.CorrelationScorer().score(simulated, le.ActivationMatrix(dead, images="f"), range(400))
    scores.to_csv(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == f"neuron,correlation\n0,{scores.of(0)!r}\n1,\n"


def test_refused():
    simulated, recorded = make(n_neurons=2)
    scorer = le.CorrelationScorer()
    with pytest.raises(ValueError, match="There are 1 images to score on"):
        scorer.score(simulated, recorded, [3])
    with pytest.raises(le.DifferentImagesError, match="Image 400 is to be scored on, but the images are 0 to 399"):
        scorer.score(simulated, recorded, [3, 400])
    with pytest.raises(le.DifferentImagesError, match="Image -1 is to be scored on"):
        scorer.score(simulated, recorded, [-1, 3])
    with pytest.raises(ValueError, match="Neuron 7 is not among the 2 neurons"):
        scorer.score(le.ActivationMatrix(simulated.values, [0, 7]), recorded, [0, 1])
    with pytest.raises(le.DifferentImagesError, match="fingerprints"):
        scorer.score(le.ActivationMatrix(simulated.values, images="g"), recorded, [0, 1])
    with pytest.raises(KeyError, match="Neuron 9 is not among the 2 scored ones"):
        scorer.score(simulated, recorded, [0, 1]).of(9)
