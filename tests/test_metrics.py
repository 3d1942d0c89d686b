"""Metrics against literal twins and scikit-learn: all neurons at once, with ties, with their errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

import linexp as le
from linexp.score import METRICS, scorers_of
from linexp.score import alignment as blocks
from linexp.score.threshold import cut
from tests.problems import PROBLEMS
from tests.reference import metrics as literal
from tests.reference import paper

SHARE = 0.07
SCORERS = {
    "cosine": le.CosineScorer(),
    "auprc": le.AUPRCScorer(SHARE),
    "f1": le.F1Scorer(SHARE),
    "iou": le.IoUScorer(SHARE),
    "spearman": le.SpearmanScorer(),
    "auroc": le.AUROCScorer(SHARE),
}
TWINS: dict[str, Callable[[Any, Any], float]] = {
    "cosine": literal.cosine,
    "auprc": lambda s, r: literal.average_precision(s, literal.top(r, SHARE)),
    "f1": lambda s, r: literal.f1(literal.top(s, SHARE), literal.top(r, SHARE)),
    "iou": lambda s, r: literal.iou(literal.top(s, SHARE), literal.top(r, SHARE)),
    "spearman": literal.spearman,
    "auroc": lambda s, r: literal.area_under_roc(s, literal.top(r, SHARE)),
}

# What a simulation scores that is the same everywhere: for these two no better than chance, else 0.
SILENT = {"auprc": SHARE, "auroc": 0.5}


def make(n_images: int = 90, n_neurons: int = 7, digits: int = 1) -> tuple[le.ActivationMatrix, le.ActivationMatrix]:
    """Activations with many zeros and, rounded to a digit, many ties."""
    rng = np.random.default_rng(0)
    recorded = np.maximum(rng.standard_normal((n_images, n_neurons)), 0)
    simulated = recorded + np.linspace(0.1, 3, n_neurons) * rng.standard_normal((n_images, n_neurons))
    return tuple(le.ActivationMatrix(side.round(digits), images="f") for side in (simulated, recorded))  # pyright: ignore


def column(matrix: le.ActivationMatrix, rows: Any, neuron: int) -> np.ndarray:
    return matrix.values[list(rows), neuron].double().numpy()


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("digits", [1, 9])
def test_equals_the_literal_metric(name: str, digits: int):
    simulated, recorded = make(digits=digits)
    rows = [*range(3, 90, 2), 0]
    scores = SCORERS[name].score(simulated, recorded, rows)
    expected = [TWINS[name](column(simulated, rows, n), column(recorded, rows, n)) for n in range(7)]
    np.testing.assert_allclose(scores.values, expected, atol=1e-12)
    assert len(set(expected)) > 2
    assert scores.n_images == len(rows)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_the_literal_metric_on_hard_problems(make: Callable[[int], Any], name: str):
    """Recorded neurons against one concept each, which takes few values, and against a sum of three."""
    problem = make(0)
    recorded, concepts = problem.matrices()
    (scorer,) = scorers_of([name], SHARE)
    twin = {"correlation": paper.correlation, **TWINS}[name]
    presence = problem.concepts
    for simulated in (presence, presence + presence[:, ::-1] / 2 - np.roll(presence, 1, axis=1) / 4):
        columns = simulated[:, np.arange(recorded.n_neurons) % concepts.n_concepts]
        scores = scorer.score(le.ActivationMatrix(columns), recorded, range(problem.n_train, len(columns)))
        assert not scores.values.isnan().any()
        for neuron in range(recorded.n_neurons):
            sides = (le.ActivationMatrix(columns), recorded)
            said, did = (column(side, range(problem.n_train, len(columns)), neuron) for side in sides)
            expected = twin(said, did) if np.ptp(said) else SILENT.get(name, 0.0)
            assert float(scores.values[neuron]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["cosine", "spearman"])
def test_standard_errors_leave_out_every_twentieth(name: str):
    simulated, recorded = make()
    scores = SCORERS[name].score(simulated, recorded, range(90))
    for neuron in range(7):
        left = [
            TWINS[name](column(simulated, rows, neuron), column(recorded, rows, neuron))
            for start in range(20)
            for rows in (np.delete(np.arange(90), np.arange(start, 90, 20)),)
        ]
        expected = math.sqrt(19 / 20 * np.square(left - np.mean(left)).sum())
        assert scores.errors[neuron] == pytest.approx(expected, rel=1e-9)  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize("name", ["auprc", "f1", "iou", "auroc"])
def test_standard_errors_take_for_given_what_counts_as_active(name: str):
    twins: dict[str, Callable[[Any, Any, Any], float]] = {
        "auprc": lambda s, _, active: literal.average_precision(s, active),
        "f1": lambda _, said, active: literal.f1(said, active),
        "iou": lambda _, said, active: literal.iou(said, active),
        "auroc": lambda s, _, active: literal.area_under_roc(s, active),
    }
    simulated, recorded = make()
    scores = SCORERS[name].score(simulated, recorded, range(90))
    for neuron in range(7):
        values = column(simulated, range(90), neuron)
        said, active = literal.top(values, SHARE), literal.top(column(recorded, range(90), neuron), SHARE)
        left: list[float] = []
        for start in range(20):
            rows = np.delete(np.arange(90), np.arange(start, 90, 20))
            left.append(twins[name](values[rows], said[rows], active[rows]))
        expected = math.sqrt(19 / 20 * np.square(left - np.mean(left)).sum())
        assert scores.errors[neuron] == pytest.approx(expected, rel=1e-9)  # pyright: ignore[reportOptionalSubscript]


def test_scikit_learn_agrees():
    simulated, recorded = make(n_images=300)
    active, said = (cut(matrix.values, SHARE).numpy() for matrix in (recorded, simulated))
    referees = {
        "auprc": lambda n: average_precision_score(active[:, n], simulated.values[:, n]),
        "auroc": lambda n: roc_auc_score(active[:, n], simulated.values[:, n]),
        "f1": lambda n: f1_score(active[:, n], said[:, n]),
        "iou": lambda n: jaccard_score(active[:, n], said[:, n]),
    }
    for name, referee in referees.items():
        scores = SCORERS[name].score(simulated, recorded, range(300))
        np.testing.assert_allclose(scores.values, [referee(n) for n in range(7)], atol=1e-12)


def test_pandas_agrees_on_spearman():
    import pandas as pd

    simulated, recorded = make(n_images=300)
    first, second = (pd.DataFrame(matrix.values.numpy()).rank() for matrix in (simulated, recorded))
    scores = le.SpearmanScorer().score(simulated, recorded, range(300))
    np.testing.assert_allclose(scores.values, first.corrwith(second), atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.07, 0.1, 0.5, 0.93, 1.0])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_what_counts_as_active_is_as_near_to_the_share_as_ties_allow(share: float, digits: int):
    _, recorded = make(digits=digits)
    active = cut(recorded.values, share).numpy()
    for neuron in range(7):
        expected = literal.top(column(recorded, range(90), neuron), share)
        np.testing.assert_array_equal(active[:, neuron], expected)


def test_a_concept_is_active_where_it_is():
    concept = torch.tensor([0.0, 1, 0, 0, 1, 1, 0, 1])[:, None]
    for share in (0.001, 0.5, 0.9):
        assert torch.equal(cut(concept, share), concept == 1)


@pytest.mark.parametrize("name", [name for name in SCORERS if name != "cosine"])
@pytest.mark.parametrize("scale", [1e-30, 1e20])
def test_scale_and_bias_do_not_matter(name: str, scale: float):
    simulated, recorded = make()
    expected = SCORERS[name].score(simulated, recorded, range(90)).values
    moved = le.ActivationMatrix(simulated.values.double() * scale + 3 * scale, images="f")
    assert torch.equal(SCORERS[name].score(moved, recorded, range(90)).values, expected)


def test_the_bias_matters_to_the_cosine_and_the_scale_does_not():
    simulated, recorded = make(n_neurons=2)
    expected = le.CosineScorer().score(simulated, recorded, range(90)).values
    for scale in (1e-30, 1e30):
        scaled = le.ActivationMatrix(simulated.values.double() * scale, images="f")
        np.testing.assert_allclose(le.CosineScorer().score(scaled, recorded, range(90)).values, expected, atol=1e-12)
    moved = le.ActivationMatrix(simulated.values + 3, images="f")
    assert (le.CosineScorer().score(moved, recorded, range(90)).values - expected).abs().min() > 0.01


@pytest.mark.parametrize("name", METRICS)
def test_constant_sides_harm_nobody(name: str):
    simulated, recorded = make(n_neurons=4)
    (scorer,) = scorers_of([name], SHARE)
    whole = scorer.score(simulated, recorded, range(90))
    flat, dead = simulated.values.clone(), recorded.values.clone()
    flat[:, 1], dead[:, 2] = 0.3, 0.0
    scores = scorer.score(le.ActivationMatrix(flat), le.ActivationMatrix(dead), range(90))
    assert scores.values.isnan().tolist() == [False, False, True, False]
    assert scores.errors.isnan().tolist() == [False, True, True, False]  # pyright: ignore[reportOptionalMemberAccess]
    assert torch.equal(scores.values[[0, 3]], whole.values[[0, 3]])
    nobody = scorer.score(le.ActivationMatrix(torch.zeros(9, 2)), le.ActivationMatrix(torch.ones(9, 2)), range(9))
    assert nobody.n_undefined == 2


@pytest.mark.parametrize("name", METRICS)
def test_the_size_of_a_block_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch):
    simulated, recorded = make(n_images=400, n_neurons=9, digits=9)
    (scorer,) = scorers_of([name], SHARE)
    whole = scorer.score(simulated, recorded, range(400))
    monkeypatch.setattr(blocks, "_NUMBERS_PER_BLOCK", 800)
    parts = scorer.score(simulated, recorded, range(400))
    assert torch.equal(whole.values, parts.values)
    assert torch.equal(whole.errors, parts.errors)  # pyright: ignore[reportArgumentType]


def test_a_part_that_holds_all_that_is_active_leaves_no_error():
    """Without it there is nothing to find, so how far the score can be trusted is not known."""
    values = torch.zeros(90, 1)
    values[3] = 5
    for scorer in (le.AUPRCScorer(0.01), le.AUROCScorer(0.01), le.F1Scorer(0.01)):
        scores = scorer.score(le.ActivationMatrix(values), le.ActivationMatrix(values), range(90))
        assert (float(scores.values[0]), math.isnan(float(scores.errors[0]))) == (1.0, True)  # pyright: ignore


def test_names_say_the_share():
    simulated, recorded = make()
    metrics = [scorer.score(simulated, recorded, range(90)).metric for scorer in scorers_of(tuple(METRICS), 0.05)]
    assert metrics == ["correlation", "cosine", "auprc@0.05", "f1@0.05", "iou@0.05", "spearman", "auroc@0.05"]
    assert [type(scorer).__name__ for scorer in scorers_of(["f1", "f1", "cosine"])] == ["F1Scorer", "CosineScorer"]


def test_refused():
    with pytest.raises(ValueError, match=r"top_share is 1\.5\. It must lie between 0 and 1"):
        le.F1Scorer(1.5)
    for scorer in (le.IoUScorer, le.AUPRCScorer, le.AUROCScorer):
        with pytest.raises(ValueError, match=r"top_share is nan\. It must lie between"):
            scorer(math.nan)
    with pytest.raises(ValueError, match=r"metric is 'f2'\. Did you mean 'f1'\? Choose one of: correlation, cosine"):
        scorers_of(["f2"])
    with pytest.raises(ValueError, match="There is no metric to score by"):
        scorers_of([])
    simulated, recorded = make()
    with pytest.raises(ValueError, match=r"There are 1 images to score on\. A score needs at least two"):
        le.F1Scorer().score(simulated, recorded, [3])
