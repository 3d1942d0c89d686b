"""Reliability: the literal numbers, planted models true and untrue, and the picture."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.concepts.calibration import Calibration, CalibrationFit, Reliability, measure_reliability
from linexp.report import draw_reliability
from tests.test_calibrate import A, B, make

TRUE = Calibration(A, B)


def literal(calibration, images, texts, labels, rows, n_bins):
    """Go through all pairs, one by one."""
    bins = [[] for _ in range(n_bins)]
    loss = 0.0
    for row in rows:
        for column in range(labels.n_concepts):
            similarity = float(images[row].double() @ texts[column].double())
            p = 1 / (1 + np.exp(-calibration.a * (similarity + calibration.b)))
            y = float(labels.values[row, column])
            loss -= y * np.log(p) + (1 - y) * np.log(1 - p)
            bins[min(int(p * n_bins), n_bins - 1)].append((p, y))
    curve = [(*np.mean(pairs, axis=0), len(pairs)) for pairs in bins if pairs]
    n_pairs = len(rows) * labels.n_concepts
    ece = sum(abs(predicted - observed) * count / n_pairs for predicted, observed, count in curve)
    return *(np.array(side) for side in zip(*curve, strict=True)), loss / n_pairs, ece


@pytest.mark.parametrize("calibration", [TRUE, Calibration(3.0, -0.9)], ids=["all bins", "some bins"])
@pytest.mark.parametrize("n_bins", [1, 15])
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_agrees_with_the_literal_twin(calibration, n_bins, soft, monkeypatch):
    images, texts, labels = make(n_images=120)
    if soft:
        labels = le.ConceptMatrix(0.1 + 0.7 * labels.values, labels.names)
    rows = [*range(3, 90), 119]
    predicted, observed, n_pairs, bce, ece = literal(calibration, images, texts, labels, rows, n_bins)
    for size in (2048, 10):
        monkeypatch.setattr("linexp.concepts.calibration.reliability.BLOCK_ROWS", size)
        found = measure_reliability(calibration, images, texts, labels, rows=rows, n_bins=n_bins)
        np.testing.assert_allclose(found.predicted.numpy(), predicted, rtol=1e-12)
        np.testing.assert_allclose(found.observed.numpy(), observed, rtol=1e-12, atol=1e-15)
        assert found.n_pairs.tolist() == n_pairs.tolist()
        assert found.bce == pytest.approx(bce, rel=1e-12)
        assert found.ece == pytest.approx(ece, abs=1e-13)


def test_a_true_calibration_is_told_from_untrue_ones():
    problem = make(n_images=20_000)
    true = measure_reliability(TRUE, *problem)
    assert true.ece < 0.005
    for other in (Calibration(3 * A, B), Calibration(A / 3, B), Calibration(A, B + 0.1)):
        untrue = measure_reliability(other, *problem)
        assert untrue.ece > 0.03
        assert untrue.bce > true.bce + 0.01
    too_sure = measure_reliability(Calibration(3 * A, B), *problem)
    assert (too_sure.observed[0] > too_sure.predicted[0]) & (too_sure.observed[-1] < too_sure.predicted[-1])


def test_does_not_grow_with_the_certainty():
    """However sure, the cross-entropy stays finite, and never falls below 0."""
    images = torch.eye(4)
    right, wrong = le.ConceptMatrix(images, list("abcd")), le.ConceptMatrix(1 - images, list("abcd"))
    sure = Calibration(1e4, -0.5)
    assert measure_reliability(sure, images, images, right).bce == 0
    found = measure_reliability(sure, images, images, wrong)
    assert (found.bce, found.ece) == (5000, 1)
    assert found.predicted.tolist() == [0, 1]
    assert found.observed.tolist() == [1, 0]


def test_the_order_of_rows_changes_nothing():
    images, texts, labels = make(n_images=300)
    first = measure_reliability(TRUE, images, texts, labels, rows=[5, 200, 17, 3])
    second = measure_reliability(TRUE, images, texts, labels, rows=torch.tensor([3, 5, 17, 200], dtype=torch.int32))
    assert (first.bce, first.ece) == (second.bce, second.ece)
    assert torch.equal(first.predicted, second.predicted)


def test_refused():
    images, texts, labels = make(n_images=50)
    with pytest.raises(le.DifferentImagesError, match="49 images and the other 50"):
        measure_reliability(TRUE, images[1:], texts, labels)
    with pytest.raises(ValueError, match=r"11 text embeddings for 12 concepts\. Embed each name once\."):
        measure_reliability(TRUE, images, texts[1:], labels)
    with pytest.raises(ValueError, match=r"embedded in 15 dimensions and the texts in 16\. Use one encoder for both"):
        measure_reliability(TRUE, images[:, 1:], texts, labels)
    with pytest.raises(ValueError, match=r"^rows contains row 50\. There are 50 images: name rows 0 to 49\."):
        measure_reliability(TRUE, images, texts, labels, rows=[50])
    with pytest.raises(ValueError, match=r"n_bins is 0\. It must be at least 1"):
        measure_reliability(TRUE, images, texts, labels, n_bins=0)
    broken = images.clone()
    broken[7, 2] = float("nan")
    with pytest.raises(ValueError, match=r"embedding of image 7 is NaN or infinite\. Look at the encoder"):
        measure_reliability(TRUE, broken, texts, labels, rows=range(4, 40))
    assert measure_reliability(TRUE, broken, texts, labels, rows=range(8, 50)).ece > 0
    texts[3, 0] = float("inf")
    with pytest.raises(ValueError, match=r"embedding of the concept 'c3' is NaN or infinite\. Look at the encoder"):
        measure_reliability(TRUE, images, texts, labels)


# The picture


def fit_of(*points, encoder="hf:some/encoder"):
    predicted, observed, n_pairs = (torch.tensor(side) for side in zip(*points, strict=True))
    measured = Reliability(predicted, observed, n_pairs, 0.0123, 0.0045)
    return CalibrationFit(Calibration(58.0, -0.13, encoder, bce=0.0123, ece=0.0045), measured, {})


CURVE = fit_of((0.01, 0.02, 9_000_000), (0.31, 0.35, 4000), (0.52, 0.5, 310), (0.93, 0.9, 1))


def colours_in(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (960, 1200)
        return np.asarray(picture.convert("RGB")).reshape(-1, 3)


def test_the_picture_shows_curve_and_bars(tmp_path):
    path = draw_reliability(CURVE, tmp_path / "new" / "reliability.png")
    assert path == tmp_path / "new" / "reliability.png"
    pixels = colours_in(path)
    for colour in ((0, 0x72, 0xB2), (0x9D, 0xC3, 0xDC)):
        assert (pixels == colour).all(1).sum() > 200


def test_the_picture_is_the_same_each_time(tmp_path):
    first, second = (draw_reliability(CURVE, str(tmp_path / name)).read_bytes() for name in ("1.png", "2.png"))
    assert first == second


@pytest.mark.parametrize(
    "fit",
    [
        fit_of((0.0, 0.0, 1)),
        fit_of((0.0666, 0.0, 5), (0.0667, 1.0, 10**10), encoder=""),
        fit_of((0.0, 1.0, 3), (1.0, 0.0, 3), encoder="$\\frac$ " + "long/" * 60),
    ],
    ids=["one point", "close points", "a name that is no formula"],
)
def test_odd_curves_are_drawn(fit, tmp_path):
    assert len(np.unique(colours_in(draw_reliability(fit, tmp_path / "odd.png")), axis=0)) > 10


def test_the_folder_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write in the folder '.*file' .* Choose another folder\."):
        draw_reliability(CURVE, tmp_path / "file" / "reliability.png")


def test_drawing_leaves_the_users_figures_alone(tmp_path):
    code = (
        "import sys, tests.test_reliability as t; from linexp.report import draw_reliability;"
        "assert 'matplotlib' not in sys.modules; draw_reliability(t.CURVE, sys.argv[1]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.png")], check=True)
