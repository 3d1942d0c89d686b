"""Calibration: the optimum of the literal objective, recovered parameters, and files of it."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import linexp as le
from linexp.concepts import Calibration, fit_calibration

A, B = 20.0, -0.25


def make(n_images=900, n_concepts=12, dims=16, seed=0):
    """Draw unit vectors and labels from the very model that calibration assumes."""
    rng = np.random.default_rng(seed)
    sides = [rng.standard_normal((rows, dims)) for rows in (n_images, n_concepts)]
    images, texts = (torch.from_numpy(side / np.linalg.norm(side, axis=1, keepdims=True)) for side in sides)
    chance = torch.sigmoid(A * (images @ texts.T + B)).numpy()
    labels = (rng.random(chance.shape) < chance).astype(np.float32)
    return images.float(), texts.float(), le.ConceptMatrix(labels, [f"c{column}" for column in range(n_concepts)])


def pairs(images, texts, labels):
    return (images.double() @ texts.double().T).numpy().ravel(), labels.values.numpy().ravel()


def literal_bce(a, b, similarity, presence):
    total = 0.0
    for x, y in zip(similarity, presence, strict=True):
        p = 1 / (1 + np.exp(-a * (x + b)))
        total -= np.log(p) if y else np.log(1 - p)
    return total / len(similarity)


def test_is_the_optimum_of_the_literal_objective():
    problem = make()
    fit = fit_calibration(*problem, max_share=1.0)
    similarity, presence = pairs(*problem)
    best = literal_bce(fit.calibration.a, fit.calibration.b, similarity, presence)
    assert fit.calibration.bce == pytest.approx(best, abs=1e-12)
    for a, b in ((1.001, 1), (0.999, 1), (1, 1.001), (1, 0.999)):
        assert literal_bce(a * fit.calibration.a, b * fit.calibration.b, similarity, presence) > best
    referee = LogisticRegression(C=np.inf, tol=1e-10).fit(similarity[:, None], presence)
    assert fit.calibration.a == pytest.approx(referee.coef_[0, 0], rel=1e-3)
    assert fit.calibration.a * fit.calibration.b == pytest.approx(referee.intercept_[0], rel=1e-3)


def test_recovers_what_the_labels_were_drawn_from():
    fit = fit_calibration(*make(n_images=20_000), max_share=1.0)
    assert fit.calibration.a == pytest.approx(A, rel=0.03)
    assert fit.calibration.b == pytest.approx(B, abs=0.01)
    assert fit.calibration.ece < 0.005
    np.testing.assert_allclose(fit.predicted.numpy(), fit.observed.numpy(), atol=0.05)
    assert fit.n_pairs.sum() == 20_000 * 12


def test_frequent_and_absent_concepts_are_left_out():
    images, texts, labels = make()
    values = labels.values.clone()
    values[:, 3], values[:, 5] = 1, 0
    values[: len(values) // 2, 7] = 1
    fit = fit_calibration(images, texts, le.ConceptMatrix(values, labels.names))
    assert set(fit.left_out) == {"c3", "c5", "c7"}
    kept = [column for column in range(12) if column not in (3, 5, 7)]
    alone = le.ConceptMatrix(values[:, kept], [labels.names[column] for column in kept])
    same = fit_calibration(images, texts[kept], alone)
    assert same.calibration.a == pytest.approx(fit.calibration.a, rel=1e-9)


def test_refused():
    images, texts, labels = make(n_images=50)
    with pytest.raises(le.DifferentImagesError, match="49 images and the other 50"):
        fit_calibration(images[1:], texts, labels)
    with pytest.raises(ValueError, match="11 text embeddings for 12 concepts"):
        fit_calibration(images, texts[1:], labels)
    with pytest.raises(ValueError, match="None of the 12 concepts can be calibrated on"):
        fit_calibration(images, texts, le.ConceptMatrix(torch.zeros(50, 12), labels.names))
    with pytest.raises(ValueError, match="not higher where a concept is present"):
        fit_calibration(-images, texts, labels, max_share=1.0)
    for a, b in ((0, 1), (-1, 0), (float("nan"), 0), (1, float("inf"))):
        with pytest.raises(ValueError, match="Give finite numbers, a above 0"):
            Calibration(a, b)


def test_probability():
    values = Calibration(10.0, -0.5).probability(torch.tensor([0.5, 0.7]))
    np.testing.assert_allclose(values.numpy(), [0.5, 1 / (1 + np.exp(-2))], rtol=1e-6)


def test_published_are_the_authors():
    found = Calibration.published("hf:google/siglip-so400m-patch14-384")
    assert (found.a, found.b) == (58, -0.13)
    assert "authors" in found.source
    found.check("hf:google/siglip-so400m-patch14-384")
    with pytest.raises(ValueError, match="fitted for the encoder 'hf:google/siglip-so400m-patch14-384', not for 'x'"):
        found.check("x")
    with pytest.raises(ValueError, match="Did you mean 'google/siglip-large-patch16-384'"):
        Calibration.published("google/siglip-large-patch16-38")


def test_files(tmp_path):
    made = Calibration(12.5, -0.1, "e", "s", 0.3, None)
    made.to_json(tmp_path / "c.json")
    assert Calibration.from_json(tmp_path / "c.json") == made
    with pytest.raises(FileNotFoundError, match="no file"):
        Calibration.from_json(tmp_path / "d.json")
    for content in ("{", json.dumps({"a": 1}), json.dumps({"a": 1, "b": 0, "c": 2}), json.dumps({"a": -1, "b": 0})):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(le.StoreMismatchError, match="is not a calibration"):
            Calibration.from_json(tmp_path / "c.json")
