"""Explanations that say nothing: they count, by what chance scores, and are told from neurons that never vary."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp.results.folder import load_explanations
from linexp.score import METRICS, Origin, read_scores, scorers_of
from tests.colour_world import make_world
from tests.command_line import Run, command_line
from tests.reference import metrics as literal
from tests.small_classifiers import small_resnet
from tests.test_ablation import SPLIT, images, labels, simulation_of
from tests.test_cli_score import EXPLAIN, cells

SHARE = 0.2


@pytest.fixture
def linexp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(make_world(tmp_path), monkeypatch, capfd)


def make_sides(n_images: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Neurons 0 and 1 are explained; of 2 and 3 nothing is said (at 0 and at a level); 4 never varies."""
    rng = np.random.default_rng(3)
    recorded = rng.uniform(0, 1, (n_images, 5))
    simulated = recorded + rng.uniform(0, 1, (n_images, 5))
    simulated[:, 2], simulated[:, 3], recorded[:, 4] = 0.0, 0.7, 0.5
    return torch.from_numpy(simulated), torch.from_numpy(recorded)


def expected_of_nothing(metric: str, recorded: np.ndarray) -> float:
    """Score a constant by the literal definitions, where they have a value for it."""
    active, nothing = literal.top(recorded, SHARE), np.full(len(recorded), 0.7)
    called_active = np.zeros(len(recorded), dtype=bool)
    return {
        "correlation": 0.0,
        "cosine": 0.0,
        "spearman": 0.0,
        "auprc": literal.average_precision(nothing, active),
        "auroc": literal.area_under_roc(nothing, active),
        "f1": literal.f1(called_active, active),
        "iou": literal.iou(called_active, active),
    }[metric]


@pytest.mark.parametrize("metric", METRICS)
def test_what_silence_scores(metric: str):
    simulated, recorded = make_sides()
    (scorer,) = scorers_of([metric], SHARE)
    scores = scorer.score(le.ActivationMatrix(simulated), le.ActivationMatrix(recorded), range(60))
    assert (scores.n_undefined, scores.n_silent) == (1, 2)
    assert scores.silent is not None
    assert scores.silent.tolist() == [False, False, True, True, False]
    for neuron in (2, 3):
        expected = expected_of_nothing(metric, recorded[:, neuron].float().numpy())
        assert scores.of(neuron) == pytest.approx(expected, abs=1e-12)
    assert scores.errors is not None
    assert scores.errors.isnan().tolist() == [False, False, True, True, True]  # of silence nothing is estimated
    assert scores.mean == pytest.approx(float(scores.values[:4].mean()))
    assert scores.sem == pytest.approx(float(scores.values[:4].std(correction=1)) / 2)
    assert scores.mean_explained == pytest.approx(float(scores.values[:2].mean()))
    assert scores.sem_explained == pytest.approx(float(scores.values[:2].std(correction=1)) / math.sqrt(2))


def test_what_is_printed():
    simulated, recorded = make_sides()
    scores = le.CorrelationScorer().score(le.ActivationMatrix(simulated), le.ActivationMatrix(recorded), range(60))
    assert str(scores) == (
        f"correlation {scores.mean:.4f} ± {scores.sem:.4f} (4 neurons, 1 undefined, 60 images; 2 silent count as 0, "
        f"{scores.mean_explained:.4f} ± {scores.sem_explained:.4f} over the 2 explained)"
    )


def test_only_and_csv_keep_who_is_silent(tmp_path: Path):
    simulated, recorded = make_sides()
    scores = le.CorrelationScorer().score(le.ActivationMatrix(simulated), le.ActivationMatrix(recorded), range(60))
    some = scores.only([3, 0])
    assert (some.n_silent, some.values.tolist()) == (1, [0.0, scores.of(0)])
    for origin in (None, Origin("a", "b", "c", "test")):
        le.Scores(**{**vars(scores), "origin": origin}).to_csv(tmp_path / "s.csv")
        (back,) = read_scores(tmp_path / "s.csv")
        assert torch.equal(back.silent, scores.silent)  # pyright: ignore[reportArgumentType]
        assert (back.mean, back.mean_explained) == (scores.mean, scores.mean_explained)
    unknown = le.Scores(scores.values, scores.neurons, "correlation", 60)
    unknown.to_csv(tmp_path / "s.csv")
    (back,) = read_scores(tmp_path / "s.csv")
    assert back.silent is None
    assert back.n_silent == 0
    assert math.isnan(back.mean_explained)


def test_silence_does_not_raise_the_mean():
    """The weaker a neuron, the sooner a price takes its only term; the mean falls all the same."""
    rng = np.random.default_rng(0)
    presence = (rng.random((1000, 20)) < 0.3).astype(np.float32)
    noise = np.linspace(0.3, 4, 20)
    activations = le.ActivationMatrix(presence + noise * rng.standard_normal((1000, 20)))
    concepts, split = le.ConceptMatrix(presence, [f"c{k}" for k in range(20)]), le.Split.random(1000)
    means, explained, silent = [], [], []
    for min_gain in (0.02, 0.2, 0.5):
        found = le.LinearExplainer(search="swaps", min_gain=min_gain).explain(activations, concepts, split)
        scores = le.CorrelationScorer().score(le.simulate(found, concepts), activations, split.test)
        means.append(scores.mean)
        explained.append(scores.mean_explained)
        silent.append(scores.n_silent)
        assert scores.n_silent == found.n_with("empty")
    assert silent == sorted(silent)
    assert silent[-1] > silent[0] + 3
    assert means == sorted(means, reverse=True)
    assert explained[-1] > explained[0]


def test_paired_differences_take_silent_neurons_as_they_score():
    simulated, recorded = (le.ActivationMatrix(side) for side in make_sides())
    louder = simulated.values.clone()
    louder[:, 2] = recorded.values[:, 2]
    first, second = (
        le.CorrelationScorer().score(le.ActivationMatrix(side), recorded, range(60))
        for side in (louder, simulated.values)
    )
    found = le.compare_scores(first, second)
    assert (found.n_neurons, found.mean) == (4, pytest.approx(0.25))


def test_the_table_counts_them_and_says_the_mean_of_the_others(linexp: Run, tmp_path: Path):
    assert linexp(*EXPLAIN, "--out", tmp_path / "ours").code == 0
    explanations = load_explanations(tmp_path / "ours")
    quiet = [le.Explanation(0, (), 0.3, outcome="empty"), explanations[1], explanations[2]]
    le.Explanations(tuple(quiet), explanations.layer).to_csv(tmp_path / "quiet.csv")
    ended = linexp("score", tmp_path / "ours", tmp_path / "quiet.csv")
    assert ended.code == 0, ended.err
    ours, theirs, told, *differences = cells(ended.out)
    assert (ours[7], theirs[7], told[7]) == ("0", "1", "0")
    assert (theirs[2], told[2], told[0]) == ("3", "2", f"{tmp_path / 'quiet.csv'}, explained only")
    mean, others = (float(row[-1].split()[0]) for row in (theirs, told))
    assert mean == pytest.approx(others * 2 / 3, abs=1e-4)
    assert differences[0][-1] == "3"
    assert float(differences[0][4].split()[0]) == pytest.approx(float(ours[-1].split()[0]) - mean, abs=2e-4)
    assert "1 silent count as 0, " in ended.out


def test_ablation_knows_which_are_silent():
    model = small_resnet().double()
    recorded = le.record(model, "layer2", images(), show_progress=False)
    simulated = simulation_of(recorded, (1, 2, 3))
    values = simulated.values.clone()
    values[:, 1] = 0.25
    flat = le.ActivationMatrix(values, simulated.neurons, simulated.layer, simulated.images)
    scores = le.AblationScorer().score(flat, recorded, SPLIT, model, images(), labels=labels(), show_progress=False)
    assert scores.silent is not None
    assert scores.silent.tolist() == [False, True, False]
    assert scores.only([scores.neurons[1]]).n_silent == scores.by_norm.n_silent == 1
    assert float(scores.values[1]) == pytest.approx(float(scores.constant[1]), abs=0.05)
