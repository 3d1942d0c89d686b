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


def test_constant_recordings_are_undefined_and_constant_simulations_count_as_0():
    simulated, recorded = make(n_neurons=4)
    flat, dead = simulated.values.clone(), recorded.values.clone()
    flat[:, 1] = 0.1
    dead[:, 2] = -3.0
    scores = le.CorrelationScorer().score(le.ActivationMatrix(flat), le.ActivationMatrix(dead), range(400))
    assert scores.values.isnan().tolist() == [False, False, True, False]
    assert (scores.n_undefined, scores.n_silent, scores.of(1)) == (1, 1, 0)
    assert scores.mean == pytest.approx(float(scores.values[[0, 3]].sum()) / 3)
    assert scores.mean_explained == pytest.approx(float(scores.values[[0, 3]].mean()))
    assert "(3 neurons, 1 undefined, 400 images; 1 silent count as 0, " in str(scores)


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
    assert scores.errors is not None
    line = f"0,{scores.of(0)!r},{float(scores.errors[0])!r}"
    assert (tmp_path / "scores.csv").read_text() == f"neuron,correlation,correlation_error,silent\n{line},0\n1,,,0\n"
    unknown = le.Scores(scores.values, scores.neurons, "f1", 400)
    unknown.to_csv(tmp_path / "f1.csv")
    assert (tmp_path / "f1.csv").read_text() == f"neuron,f1,f1_error\n0,{scores.of(0)!r},\n1,,\n"


@pytest.mark.parametrize("n_images", [15, 400])
def test_standard_errors_leave_out_every_twentieth(n_images):
    simulated, recorded = make(n_images=n_images, n_neurons=3)
    scores = le.CorrelationScorer().score(simulated, recorded, range(n_images))
    n_shards = min(20, n_images)
    for neuron in range(3):
        sides = [matrix.values[:, neuron].double().numpy() for matrix in (simulated, recorded)]
        left = [
            paper.correlation(*(np.delete(side, np.arange(start, n_images, n_shards)) for side in sides))
            for start in range(n_shards)
        ]
        expected = math.sqrt((n_shards - 1) / n_shards * np.square(left - np.mean(left)).sum())
        assert scores.errors[neuron] == pytest.approx(expected, rel=1e-9)


def test_standard_errors_are_as_large_as_they_say():
    """The spread of scores over new images is what each set of images says of itself."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        recorded = rng.standard_normal((300, 10))
        simulated = recorded + np.linspace(0.3, 3, 10) * rng.standard_normal((300, 10))
        matrices = (le.ActivationMatrix(simulated), le.ActivationMatrix(recorded))
        found.append(le.CorrelationScorer().score(*matrices, range(300)))
    spread = torch.stack([scores.values for scores in found]).std(0)
    said = torch.stack([scores.errors for scores in found]).mean(0)
    np.testing.assert_allclose(said / spread, 1, atol=0.35)
    assert float((said / spread).mean()) == pytest.approx(1, abs=0.1)


def test_what_varies_in_one_part_only_has_no_error():
    simulated, recorded = make(n_neurons=2)
    once = simulated.values.clone()
    once[:, 1] = 0
    once[3, 1] = 1
    scores = le.CorrelationScorer().score(le.ActivationMatrix(once, images="f"), recorded, range(400))
    assert scores.errors.isnan().tolist() == [False, True]
    assert not scores.values.isnan().any()


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
