"""``le.compare``: several methods on the same neurons, judged alike, and the table against sums by hand."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace

import pytest
import torch

import linexp as le
from linexp.explainers import Usable

PLANTED, SPLIT = le.make_planted(n_images=300, n_concepts=12, n_neurons=6, n_terms=2, noise=0.2), le.Split.random(300)
SCORERS = (le.CorrelationScorer(), le.IoUScorer(top_share=0.1))
QUICK = {
    "ours": le.LinearExplainer(n_repeats=0, n_groups=0),
    "best": le.BestConceptExplainer(n_groups=0),
    "lots": le.RandomConceptExplainer(n_groups=0),
}


@dataclass(frozen=True)
class OnlySome:
    """Explains every second neuron, by the best concept."""

    min_activity: float = 0.0

    def explain(
        self,
        activations: le.ActivationMatrix,
        concepts: le.ConceptMatrix,
        split: le.Split,
        *,
        usable: Usable | None = None,
    ) -> le.Explanations:
        found = le.BestConceptExplainer(n_groups=0).explain(activations, concepts, split, usable=usable)
        return found.only(found.neurons[::2])


def with_odd_neurons() -> le.ActivationMatrix:
    """Two more neurons: one constant everywhere, one that is zero on more than half of the images."""
    odd = torch.stack([torch.full((300,), 2.0), (PLANTED.activations.values[:, 0] - 0.9).clamp(min=0)], 1)
    assert (odd[:, 1] == 0).float().mean() > 0.5
    return le.ActivationMatrix(torch.cat([PLANTED.activations.values, odd], 1), None, "layer")


def correlation(one: list[float], other: list[float]) -> float:
    try:
        return statistics.correlation(one, other)
    except statistics.StatisticsError:  # one of them is constant
        return 0.0 if len(set(other)) > 1 else math.nan


def test_the_table_is_sums_by_hand():
    activations = with_odd_neurons()
    found = le.compare(activations, PLANTED.concepts, SPLIT, QUICK, scorers=SCORERS)
    assert found.methods == ("ours", "best", "lots")
    rows, by_hand = SPLIT.test.tolist(), dict[str, list[float]]()
    for name in found.methods:
        simulated = le.simulate(found[name].explanations, PLANTED.concepts).values
        pairs = zip(simulated.T, activations.values.T, strict=True)
        by_hand[name] = [correlation(one[rows].tolist(), other[rows].tolist()) for one, other in pairs]
        assert found.scores()[name].values.tolist() == pytest.approx(by_hand[name], abs=1e-5, nan_ok=True)
    table = found.table()
    for place, (name, values) in enumerate(by_hand.items()):
        row = dict(zip(table.columns, table.rows[place], strict=True))
        defined = [value for value in values if not math.isnan(value)]
        mean, beside = statistics.fmean(defined), row["correlation"]
        assert (beside.mean, beside.sem) == pytest.approx((mean, statistics.stdev(defined) / 7**0.5), abs=1e-5)  # pyright: ignore
        assert (row["neurons"], row["no score"], row["dead"], row["n_images"]) == (8, 1, 0, 60)
        assert row["terms"] == pytest.approx(found[name].explanations.mean_terms, abs=1e-4)
        assert row["explained"] == found[name].explanations.n_with("explained")
        differences = [one - other for one, other in zip(values, by_hand["ours"], strict=True) if not math.isnan(one)]
        beside = row["correlation − ours"]
        expected = (statistics.fmean(differences), statistics.stdev(differences) / 7**0.5)
        if name == "ours":
            assert math.isnan(beside.mean)  # pyright: ignore
        else:
            assert (beside.mean, beside.sem) == pytest.approx(expected, abs=1e-5)  # pyright: ignore
            told = found.differences()[place - 1]
            assert (told.first, told.second, told.n_neurons) == (name, "ours", 7)
            assert (told.mean, told.sem) == pytest.approx(expected, abs=1e-5)
    assert [len(one.defined) for one in found.scores("iou@0.1").values()] == [7, 7, 7]
    assert found.to_frame("iou@0.1")["best"].tolist()[:6] == found.scores("iou@0.1")["best"].values.tolist()[:6]


def test_names_are_methods_and_searches():
    found = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, ["random", "stepwise"])
    (by_name,) = (one.explanations for one in found.results if one.method == "stepwise")
    explained = le.LinearExplainer(search="stepwise").explain(PLANTED.activations, PLANTED.concepts, SPLIT)
    assert by_name.items == explained.items
    text, page = str(found), found._repr_html_()
    assert "random" in text
    assert "judged by the concepts that explained; differences to random paired" in " ".join(text.split())
    assert page.count("<tr>") == 3
    assert ">length<" not in page  # every concept is a word


def test_a_formula_is_as_long_as_it_is():
    found = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, ["invert"])
    lengths = [
        item.concepts[0].length if isinstance(item.concepts[0], le.Formula) else 1
        for item in found["invert"].explanations
    ]
    row = dict(zip(found.table().columns, found.table().rows[0], strict=True))
    assert (row["terms"], row["length"]) == (1, pytest.approx(sum(lengths) / 6, abs=1e-4))
    assert max(lengths) > 1
    assert " length " in str(found)


def test_another_judge_sees_what_it_sees():
    flipped = le.ConceptMatrix(1 - PLANTED.concepts.values, PLANTED.concepts.names)
    found = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, {"best": QUICK["best"]}, simulator=flipped)
    own = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, {"best": QUICK["best"]})
    assert found.scores()["best"].values.tolist() == pytest.approx((-own.scores()["best"].values).tolist(), abs=1e-6)
    assert found.scores()["best"].origin.simulator == "simulator"  # pyright: ignore
    assert "−" not in "".join(found.table().columns[-1:])
    assert found.differences() == ()
    assert list(found.tables()) == [""]


def test_means_are_over_the_neurons_that_all_methods_explain():
    found = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, {**QUICK, "some": OnlySome()})
    table = found.table()
    assert {row[table.columns.index("neurons")] for row in table.rows} == {3}
    shared = found.scores()["ours"].only(PLANTED.activations.neurons[::2])
    assert table.rows[0][table.columns.index("correlation")].mean == shared.mean  # pyright: ignore
    assert found.to_frame()["some"].isna().tolist() == [False, True] * 3


def test_what_is_lacking_is_said_of_all_methods():
    few, names = le.Split(range(50), range(50, 60), [60, 61]), ["splice", "best", "clip-dissect"]
    with pytest.raises(ValueError, match=r"2 of 3 methods .* splice: SpLiCE takes .* clip-dissect: n_top is 100"):
        le.compare(PLANTED.activations, PLANTED.concepts, few, names)
    with pytest.raises(ValueError, match=r"There is no method to explain by\. Choose some of: linear,"):
        le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, {})
    with pytest.raises(le.DifferentImagesError):
        le.compare(PLANTED.activations, le.make_planted(n_images=299).concepts, SPLIT, QUICK)
    still = replace(PLANTED.concepts, values=torch.ones_like(PLANTED.concepts.values))
    with pytest.raises(ValueError, match="constant on the training images"):
        le.compare(PLANTED.activations, still, SPLIT, QUICK)
    found = le.compare(PLANTED.activations, PLANTED.concepts, SPLIT, {"best": QUICK["best"]})
    with pytest.raises(KeyError, match=r"There is no method 'bset' here\. Methods: best\."):
        found["bset"]
    with pytest.raises(KeyError, match=r"There are no scores by 'auroc'\. Metrics: correlation\."):
        found.scores("auroc")
