"""Calibration: the optimum of the literal objective, recovered parameters, and files of it."""

import json
import os

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import linexp as le
from linexp.concepts.calibration import Calibration, fit_calibration, measure_reliability
from linexp.concepts.calibration import fit as calibrate
from linexp.concepts.encoders import ConSE
from linexp.matrix import EmbeddedConceptMatrix

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
    np.testing.assert_allclose(fit.reliability.predicted.numpy(), fit.reliability.observed.numpy(), atol=0.05)
    assert fit.reliability.n_pairs.sum() == 20_000 * 12
    assert (fit.left_out, fit.left_out_in_words) == ({}, "")


def test_what_is_in_every_image_is_left_out_whatever_share_is_allowed():
    images, texts, labels = make()
    values = labels.values.clone()
    values[:, 3] = 1
    fit = fit_calibration(images, texts, le.ConceptMatrix(values, labels.names), max_share=1)
    assert fit.left_out == {"c3": 1.0}


def literal_newton(similarity, presence):
    """Minimise over all pairs at once, with every array held whole."""
    x = np.stack([similarity, np.ones_like(similarity)])
    weights = np.array([0.0, np.log(presence.mean() / (1 - presence.mean()))])
    for _ in range(50):
        p = 1 / (1 + np.exp(-weights @ x))
        weights = weights - 0.5 * np.linalg.solve((x * p * (1 - p)) @ x.T, x @ (p - presence))
    return weights[0], weights[1] / weights[0]


def test_blocks_agree_with_the_literal_twin(monkeypatch):
    problem = make(n_images=5000)
    a, b = literal_newton(*pairs(*problem))
    for rows, piece in ((2048, 1 << 17), (7, 1 << 17), (2048, 1001)):
        monkeypatch.setattr("linexp.concepts.calibration.reliability._PIECE", piece)
        monkeypatch.setattr("linexp.concepts.calibration.reliability.BLOCK_ROWS", rows)
        monkeypatch.setattr("linexp.concepts.calibration.fit.BLOCK_ROWS", rows)
        fit = fit_calibration(*problem, max_share=1.0)
        assert fit.calibration.a == pytest.approx(a, rel=1e-9)
        assert fit.calibration.b == pytest.approx(b, rel=1e-9)


def laid_out_otherwise(tensor):
    """Return the same numbers column by column, in float64, and not at the start of their memory."""
    room = torch.zeros(tensor.shape[1] + 1, tensor.shape[0] + 3, dtype=torch.float64)
    room[1:, 3:] = tensor.T
    return room[1:, 3:].T


def test_the_same_bytes_however_the_data_is_laid_out():
    images, texts, labels = make(n_images=3000)
    rows = torch.randperm(3000, generator=torch.Generator().manual_seed(0))[:2500]
    alone = le.ConceptMatrix(labels.values[rows.sort().values], labels.names)
    fits = [
        fit_calibration(images, texts, labels, fitted_on=rows),
        fit_calibration(images, texts, labels, fitted_on=rows.tolist()[::-1], measured_on=rows),
        fit_calibration(laid_out_otherwise(images), laid_out_otherwise(texts), labels, fitted_on=rows),
        fit_calibration(images[rows.sort().values], texts, alone),
        fit_calibration(images[rows.sort().values].requires_grad_(), texts, alone, fitted_on=slice(None)),
    ]
    for fit in fits[1:]:
        assert fit.calibration == fits[0].calibration
        assert torch.equal(fit.reliability.predicted, fits[0].reliability.predicted)
        assert torch.equal(fit.reliability.n_pairs, fits[0].reliability.n_pairs)


class Lazy(EmbeddedConceptMatrix):
    """Labels that are made on demand, in blocks of one size, and never whole."""

    @property
    def values(self):
        raise AssertionError("the whole matrix was asked for")

    def block(self, rows):
        assert len(rows) in {2048, 5000 - 2 * 2048}
        return super().block(rows)


def test_labels_made_on_demand():
    images, texts, _ = make(n_images=5000)
    lazy = Lazy(images, texts, [f"c{column}" for column in range(12)], A, B)
    fit = fit_calibration(images, texts, lazy, max_share=0.9)
    assert fit.calibration.a == pytest.approx(A, rel=1e-4)  # similarities of the labels are float32
    assert fit.calibration.b == pytest.approx(B, rel=1e-4)
    assert fit.calibration.ece < 1e-5


def test_frequent_and_absent_concepts_are_left_out():
    images, texts, labels = make()
    values = labels.values.clone()
    values[:, 3], values[:, 5] = 1, 0
    values[: len(values) // 2, 7], values[len(values) // 2 :, 7] = 1, 0
    fit = fit_calibration(images, texts, le.ConceptMatrix(values, labels.names))
    assert fit.left_out == {"c3": 1, "c5": 0, "c7": 0.5}
    assert fit.left_out_in_words == (
        "Left out: in none of the images fitted on: 'c5'; in too many of the images fitted on: 'c3' (100%), 'c7' (50%)."
    )
    kept = [column for column in range(12) if column not in (3, 5, 7)]
    alone = le.ConceptMatrix(values[:, kept], [labels.names[column] for column in kept])
    same = fit_calibration(images, texts[kept], alone)
    assert same.calibration == fit.calibration


def test_measured_on_other_images_than_fitted_on():
    images, texts, labels = make(n_images=3000)
    values = labels.values.clone()
    values[2000:] = values[2000:].roll(1, 1)  # another world: every label belongs to the next name
    values[:2000, 4] = 0
    labels = le.ConceptMatrix(values, labels.names)
    fit = fit_calibration(images, texts, labels, fitted_on=slice(2000), measured_on=slice(2000, None), n_bins=9)
    home = fit_calibration(images, texts, labels, fitted_on=range(2000), n_bins=9)
    assert set(fit.left_out) == set(home.left_out) == {"c4"}  # though it is in images measured on
    assert (fit.calibration.a, fit.calibration.b) == (home.calibration.a, home.calibration.b)
    assert fit.calibration.ece > 5 * home.calibration.ece
    assert fit.calibration.bce > 1.2 * home.calibration.bce
    kept = [column for column in range(12) if column != 4]
    there = measure_reliability(
        fit.calibration,
        images,
        texts[kept],
        labels.only([labels.names[column] for column in kept]),
        rows=slice(2000, None),
        n_bins=9,
    )
    assert (there.bce, there.ece) == (fit.reliability.bce, fit.reliability.ece)
    assert (there.bce, there.ece) == (fit.calibration.bce, fit.calibration.ece)
    assert torch.equal(there.predicted, fit.reliability.predicted)
    assert torch.equal(there.observed, fit.reliability.observed)


def test_says_where_it_comes_from():
    fit = fit_calibration(*make(), encoder="e", source="s", images="f00d", date="2025-01-31")
    made = fit.calibration
    assert (made.encoder, made.source, made.images, made.date) == ("e", "s", "f00d", "2025-01-31")


def test_perfectly_separated_concepts_end_the_search():
    images = torch.eye(6).repeat(5, 1)
    fit = fit_calibration(images, torch.eye(6), le.ConceptMatrix(images, list("abcdef")))
    assert 0 <= fit.calibration.bce < 1e-14
    assert (fit.calibration.probability(images).round() == images).all()


def test_says_if_the_search_does_not_end(monkeypatch):
    monkeypatch.setattr(calibrate, "_MOST_STEPS", 3)
    with pytest.warns(le.NotConvergedWarning, match=r"still moved after 3 steps \(a = \d") as caught:
        fit_calibration(*make(), max_share=1.0)
    assert caught[0].filename == __file__


def test_refused():
    images, texts, labels = make(n_images=50)
    with pytest.raises(le.DifferentImagesError, match="49 images and the other 50"):
        fit_calibration(images[1:], texts, labels)
    with pytest.raises(ValueError, match="11 text embeddings for 12 concepts"):
        fit_calibration(images, texts[1:], labels)
    with pytest.raises(ValueError, match=r"embedded in 15 dimensions and the texts in 16\. Use one encoder"):
        fit_calibration(images[:, 1:], texts, labels)
    with pytest.raises(
        ValueError,
        match=r"None of the 12 concepts can be calibrated on: in none of the images fitted on: 'c0', 'c1', .*'c11'\. "
        r"Use more concepts or images, or a max_share above 0\.3\.",
    ):
        fit_calibration(images, texts, le.ConceptMatrix(torch.zeros(50, 12), labels.names))
    with pytest.raises(ValueError, match=r"in too many of the images fitted on: 'c0' \(100%\), 'c1' \(100%\)"):
        fit_calibration(images, texts, le.ConceptMatrix(torch.ones(50, 12), labels.names))
    with pytest.raises(ValueError, match="not higher where a concept is present"):
        fit_calibration(-images, texts, labels, max_share=1.0)
    with pytest.raises(ValueError, match=r"max_share is 2\. It must lie between 0 and 1"):
        fit_calibration(images, texts, labels, max_share=2)
    with pytest.raises(ValueError, match=r"n_bins is 0\. It must be at least 1"):
        fit_calibration(images, texts, labels, n_bins=0)
    for a, b in ((0, 1), (-1, 0), (float("nan"), 0), (1, float("inf"))):
        with pytest.raises(ValueError, match="Give finite numbers, a above 0"):
            Calibration(a, b)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([3, 50], r"fitted_on contains row 50\. There are 50 images: name rows 0 to 49\."),
        ([3, -1], r"fitted_on contains row -1\. There are 50 images"),
        ([3, 4, 3], r"fitted_on contains row 3 twice\. Name each image once\."),
        ([], r"fitted_on has no image\. Name at least one\."),
        (slice(50, None), r"fitted_on has no image\."),
        ([0.5, 1.5], r"fitted_on is of type torch.float32\. Give row numbers \(whole numbers\)\."),
        (torch.ones(50, dtype=torch.bool), r"fitted_on is of type torch.bool\. Give row numbers"),
    ],
)
def test_rows_that_are_refused(rows, text):
    problem = make(n_images=50)
    with pytest.raises(ValueError, match=text):
        fit_calibration(*problem, fitted_on=rows)
    with pytest.raises(ValueError, match=text.replace("fitted", "measured")):
        fit_calibration(*problem, measured_on=rows)


def test_partly_measured_on_what_was_fitted_on():
    with pytest.raises(
        ValueError,
        match=r"10 of the 20 images in measured_on are among the 40 in fitted_on \(row 30 first\).* "
        r"Measure on the images fitted on, or only on others\.",
    ):
        fit_calibration(*make(n_images=50), fitted_on=range(40), measured_on=range(30, 50))
    with pytest.raises(ValueError, match="40 of the 50 images in measured_on are among the 40 in fitted_on"):
        fit_calibration(*make(n_images=50), fitted_on=range(40), measured_on=range(50))


def test_probability():
    values = Calibration(10.0, -0.5).probability(torch.tensor([0.5, 0.7]))
    np.testing.assert_allclose(values.numpy(), [0.5, 1 / (1 + np.exp(-2))], rtol=1e-6)


@pytest.mark.parametrize(
    ("encoders", "expected"),
    [
        (("hf:google/siglip-so400m-patch14-384", "open_clip:ViT-SO400M-14-SigLIP-384,webli"), (58, -0.13)),
        (("hf:google/siglip-large-patch16-384", "open_clip:ViT-L-16-SigLIP-384,webli"), (60, -0.09)),
        (("hf:openai/clip-vit-large-patch14-336", "open_clip:ViT-L-14-336-quickgelu,openai"), (58, -0.25)),
    ],
)
def test_the_authors_come_with_linexp(encoders, expected):
    for encoder in encoders:
        found = Calibration.shipped(encoder)
        assert (found.a, found.b) == expected
        assert found.source.startswith("the authors' released code")
        found.check(encoder)
        with pytest.raises(ValueError, match=f"fitted for the encoder '{encoder}', not for 'x'"):
            found.check("x")


@pytest.mark.parametrize("number", range(3))
def test_ours_of_conse_come_with_linexp(number):
    found = Calibration.shipped(ConSE(f"efficientnet_lite{number}").name)
    assert found.source.startswith("linexp calibrate: 7000 of ")
    assert (found.bce < 0.07, found.ece < 0.005, len(found.images), len(found.date)) == (True, True, 64, 10)


def test_no_calibration_of_another_encoder_comes_with_linexp():
    with pytest.raises(ValueError, match=r"No calibration .* 'hf:google/siglip-large-patch16-38' comes with linexp\."):
        Calibration.shipped("hf:google/siglip-large-patch16-38")
    with pytest.raises(ValueError, match=r"comes with linexp\. Did you mean 'conse:.*Fit one with linexp calibrate"):
        Calibration.shipped(ConSE("efficientnet_lite2", n_classes=3).name)


def test_files(tmp_path):
    made = Calibration(12.5, -0.1, "é", "s", 0.3, None, "f00d", "2025-01-31")
    path = tmp_path / "new" / "c.json"
    made.to_json(path)
    assert Calibration.from_json(path) == made
    assert [file.name for file in path.parent.iterdir()] == ["c.json"]
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*d\.json'\. Give the path of a calibration\."):
        Calibration.from_json(tmp_path / "d.json")
    wrong = [{"a": 1}, {"a": 1, "b": 0, "c": 2}, {"a": -1, "b": 0}, {"a": 1, "b": None}]
    wrong += [{"a": 1, "b": 0, name: "x"} for name in ("bce", "ece")]
    for content in ("{", *map(json.dumps, wrong)):
        path.write_text(content)
        with pytest.raises(
            le.StoreMismatchError, match=r"is not a calibration .* Write it anew with Calibration\.to_json"
        ):
            Calibration.from_json(path)


def test_files_of_earlier_versions_are_read(tmp_path):
    old = {"a": 12.5, "b": -0.1, "encoder": "e", "source": "s", "bce": 0.3, "ece": None}
    (tmp_path / "c.json").write_text(json.dumps(old))
    assert Calibration.from_json(tmp_path / "c.json") == Calibration(12.5, -0.1, "e", "s", 0.3, None, "", "")


def test_an_interrupted_file_leaves_the_earlier_one(tmp_path, monkeypatch):
    Calibration(1.0, 0.0).to_json(tmp_path / "c.json")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Calibration(2.0, 0.0).to_json(tmp_path / "c.json")
    assert Calibration.from_json(tmp_path / "c.json").a == 1
    assert [file.name for file in tmp_path.iterdir()] == ["c.json"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write in the folder '.*file' .* Choose another folder\."):
        Calibration(1.0, 0.0).to_json(tmp_path / "file" / "c.json")
