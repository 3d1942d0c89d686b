"""The sanity checks: known verdicts on neurons that are their concepts, and on noisy ones; what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import linexp as le
from linexp.matrix import ActivationMatrix
from linexp.score import METRICS, scorers_of


def make_labels(n_images: int = 20_000, shares: Sequence[float] = (0.4, 0.1, 0.01)) -> torch.Tensor:
    rng = np.random.default_rng(1)
    labels = np.zeros((n_images, len(shares)), dtype=np.float32)
    for column, share in enumerate(shares):
        labels[rng.permutation(n_images)[: round(share * n_images)], column] = 1
    return torch.from_numpy(labels)


@dataclass(frozen=True)
class LabelShare:
    """Made-up metrics of known fate: the share of active images with the label, or of labelled ones that are active."""

    of_active: bool

    def score(self, simulated: ActivationMatrix, recorded: ActivationMatrix, rows: Sequence[int]) -> le.Scores:
        both = (simulated.values * recorded.values).sum(0)
        whole = (recorded if self.of_active else simulated).values.sum(0)
        return le.Scores((both / whole).double(), recorded.neurons, "share", len(rows))


@pytest.mark.parametrize("metric", ["correlation", "cosine", "auprc", "f1", "iou"])
def test_neurons_that_are_their_concepts(metric: str):
    labels = make_labels()
    found = le.check_metric(scorers_of([metric])[0], ActivationMatrix(labels), labels, n_repeats=2)
    assert (found.missing, found.extra, found.n_scored, found.passes) == (1, 1, 6, True)
    assert min(-found.missing_change, -found.extra_change) > 0.1
    assert str(found).endswith("passes: missing labels 100.0%, extra labels 100.0%")


def test_auroc_does_not_notice_wrong_labels_of_rare_concepts():
    """With a mid-rank for the ties, n₁ extra labels cost ½·n₁/(n − n₁): half of a thousandth at n₁/n = 0.1 %."""
    labels = make_labels(shares=(0.1, 0.001))
    found = le.check_metric(le.AUROCScorer(), ActivationMatrix(labels), labels)
    assert (found.missing, found.extra, found.passes) == (1, 0.5, False)
    assert str(found) == "auroc@0.05 fails: missing labels 100.0%, extra labels 50.0%"
    assert found.extra_change == pytest.approx(-np.mean([0.1 / 0.9, 0.001 / 0.999]) / 2, rel=0.05)


def test_what_missing_and_extra_labels_cost_the_cosine():
    """Without half of its labels, or with as many again, a concept's cosine with itself is √½, of a range of 2."""
    labels = make_labels(shares=(0.4, 0.1))
    found = le.check_metric(le.CosineScorer(), ActivationMatrix(labels), labels)
    np.testing.assert_allclose([found.missing_change, found.extra_change], (np.sqrt(0.5) - 1) / 2, rtol=0.02)


@pytest.mark.parametrize(("scorer", "changed"), [(le.F1Scorer(), 2 / 3), (le.IoUScorer(), 1 / 2)])
def test_what_missing_and_extra_labels_cost_the_metrics_of_overlap(scorer: le.F1Scorer | le.IoUScorer, changed: float):
    """Half of the labels found, or all and as many wrong ones: the fall is a share of the range from 0 to 1."""
    labels = make_labels(shares=(0.4, 0.1))
    found = le.check_metric(scorer, ActivationMatrix(labels), labels)
    np.testing.assert_allclose([found.missing_change, found.extra_change], changed - 1, rtol=0.02)


@pytest.mark.parametrize("metric", METRICS)
def test_the_range_of_a_metric_is_that_of_its_scores(metric: str):
    """A neuron that is its concept reaches the top; one that is the opposite goes no lower than the bottom."""
    (scorer,) = scorers_of([metric], 0.3)
    values = torch.rand(200, 1, generator=torch.Generator().manual_seed(0)) - 0.5
    low, high = scorer.bounds  # pyright: ignore[reportAttributeAccessIssue]
    best = float(scorer.score(ActivationMatrix(values), ActivationMatrix(values), range(200)).values[0])
    worst = float(scorer.score(ActivationMatrix(-values), ActivationMatrix(values), range(200)).values[0])
    assert (best, high) == (pytest.approx(1), 1)
    if metric == "auprc":  # what ranks worst is still right now and then
        assert (low, round(worst, 1)) == (0, 0.2)
    else:
        assert worst == pytest.approx(low)


def test_shares_fail_one_check_each():
    labels = make_labels()
    recall = le.check_metric(LabelShare(of_active=True), ActivationMatrix(labels), labels)
    precision = le.check_metric(LabelShare(of_active=False), ActivationMatrix(labels), labels)
    assert (recall.missing, recall.extra) == (1, 0)
    assert (precision.missing, precision.extra) == (0, 1)
    assert recall.extra_change == precision.missing_change == 0


def test_spearman_of_a_rare_concept_with_itself_is_one_only_with_mid_ranks():
    """Where the reference breaks ties at random, next to nothing is left, so nothing can get lost."""
    labels = make_labels(shares=(0.1, 0.001))
    found = le.check_metric(le.SpearmanScorer(), ActivationMatrix(labels), labels)
    assert (found.missing, found.extra) == (1, 1)
    rng = np.random.default_rng(0)
    concept = labels[:, 1].numpy()
    ranks = [np.lexsort((rng.random(len(concept)), concept)).argsort() for _ in range(2)]
    assert abs(np.corrcoef(*ranks)[0, 1]) < 0.03


def test_spearman_fails_where_most_activations_say_nothing():
    """Each neuron does much in a quarter of the images that have its concept, and a little less in the others."""
    labels = make_labels(n_images=6000, shares=[0.01] * 100)
    noise, chance = torch.rand(2, *labels.shape, generator=torch.Generator().manual_seed(0))
    recorded = ActivationMatrix(noise * (1 - labels / 2) + 5 * labels * (chance < 1 / 4))
    spearman = le.check_metric(le.SpearmanScorer(), recorded, labels)
    correlation = le.check_metric(le.CorrelationScorer(), recorded, labels)
    assert max(spearman.missing, spearman.extra) < 0.8
    assert correlation.passes


def test_what_is_taken_away_and_added():
    """The disturbed labels as the metric sees them: half of them, and as many again among the others."""
    seen: list[torch.Tensor] = []

    class Watch:
        def score(self, simulated: ActivationMatrix, recorded: ActivationMatrix, rows: Sequence[int]) -> le.Scores:
            seen.append(simulated.values)
            assert list(rows) == list(range(recorded.n_images))
            return le.Scores(simulated.values.mean(0), recorded.neurons, "mean", len(rows))

    labels = make_labels(n_images=20_000, shares=(0.4, 0.05))
    found = le.check_metric(Watch(), ActivationMatrix(labels), labels, seed=3)
    whole, fewer, more = seen
    assert torch.equal(whole, labels)
    assert (fewer <= labels).all()
    assert (more >= labels).all()
    np.testing.assert_allclose(fewer.sum(0) / labels.sum(0), 0.5, atol=0.05)
    np.testing.assert_allclose(more.sum(0) / labels.sum(0), 2, atol=0.1)
    assert (found.missing, found.extra) == (1, 0)
    means = [side.mean(0).numpy() for side in (whole, fewer, more)]
    size = max(map(np.max, means)) - min(map(np.min, means))
    assert found.missing_change == pytest.approx(np.mean(means[1] - means[0]) / size)
    seen.clear()
    le.check_metric(Watch(), ActivationMatrix(labels), labels, seed=3)
    assert torch.equal(seen[1], fewer)
    seen.clear()
    le.check_metric(Watch(), ActivationMatrix(labels), labels, seed=4)
    assert not torch.equal(seen[1], fewer)


def test_neurons_without_a_score_are_left_out():
    labels = make_labels(n_images=50, shares=(0.02, 0.4))  # the one label of the first goes missing, sooner or later
    found = le.check_metric(le.CorrelationScorer(), ActivationMatrix(labels), labels, n_repeats=20)
    assert 20 < found.n_scored < 40


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_checked(metric: str):
    labels = make_labels(n_images=500, shares=(0.3, 0.1))
    assert le.check_metric(scorers_of([metric])[0], ActivationMatrix(labels), labels).n_scored == 2


def test_refused():
    labels = make_labels(n_images=50, shares=(0.3, 0.1))
    recorded = ActivationMatrix(labels, neurons=[4, 7])
    scorer = le.CorrelationScorer()
    with pytest.raises(ValueError, match=r"The labels have the shape \(50, 1\) for 50 images and 2 neurons\. Give a"):
        le.check_metric(scorer, recorded, labels[:, :1])
    with pytest.raises(le.DifferentImagesError, match="One matrix has 50 images and the other 49"):
        le.check_metric(scorer, recorded, labels[:49])
    with pytest.raises(ValueError, match=r"One of the labels is 0\.5\. Labels are 0 or 1"):
        le.check_metric(scorer, recorded, labels / 2)
    with pytest.raises(ValueError, match=r"The concept of neuron 7 is in no image or in all of them\. Leave the"):
        le.check_metric(scorer, recorded, labels * torch.tensor([1, 0]))
    with pytest.raises(ValueError, match=r"n_repeats is 0\. It must be at least 1"):
        le.check_metric(scorer, recorded, labels, n_repeats=0)
