"""``le.Result``: made in Python in one line, saved, read back, narrowed, and put on a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import linexp as le
from linexp.results import Column
from linexp.score import Origin


@pytest.fixture(scope="module")
def result() -> le.Result:
    planted, split = le.make_planted(200, n_neurons=6), le.Split.random(200)
    activations = le.ActivationMatrix(planted.activations.values, layer="planted", images="0" * 64)
    concepts = le.ConceptMatrix(planted.concepts.values, planted.concepts.names, "0" * 64)
    explanations = le.LinearExplainer(n_groups=0).explain(activations, concepts, split)
    return le.Result(activations, concepts, split, explanations)


def test_it_measures_its_own_correlation(result: le.Result):
    scores = le.CorrelationScorer().score(
        le.simulate(result.explanations, result.concepts), result.activations, result.split.test
    )
    (column,) = result.columns
    assert (column.title, column.mean) == ("correlation", pytest.approx(scores.mean))


def test_what_is_saved_is_read_back(result: le.Result, tmp_path: Path):
    (own,) = le.read_result(result.save(tmp_path / "own")).columns
    by = {neuron: value / 2 for neuron, value in own.values.items()}
    judged = le.Scores(
        torch.arange(6.0), result.activations.neurons, "auprc", 40, None, Origin("", "hf:eye", "", "test")
    )
    own_scores = le.Scores(torch.ones(6), result.activations.neurons, "correlation", 40)
    known = (
        Column("correlation", "hf:eye", by, {0: 0.25}, silent=frozenset({2})),
        Column("iou", "hf:eye", by, method="theirs"),
        Column("impact", "", by, is_score=False),
    )
    full = replace(result, scores=(own_scores, judged), known=known)
    again = le.read_result(full.save(tmp_path / "full"))
    assert sorted(path.name for path in (tmp_path / "full").glob("scores*")) == [
        "scores-by-hf-eye-auprc.csv",
        "scores-by-hf-eye.csv",
        "scores-theirs-by-hf-eye-iou.csv",
        "scores.csv",
    ]
    expected = {column.title: column for column in full.columns}
    found = {column.title: column for column in again.columns}
    assert set(found) == set(expected)
    for title, column in expected.items():
        for name in ("metric", "judge", "values", "errors", "method", "silent", "is_score"):
            assert getattr(found[title], name) == getattr(column, name), (title, name)
    assert again.explanations.items == full.explanations.items
    assert torch.equal(again.activations.values, full.activations.values)
    assert again.image_names[:2] == ("image 0", "image 1")
    assert again.method == "full"


def test_what_an_earlier_result_left_is_not_the_new_ones(result: le.Result, tmp_path: Path):
    values = dict.fromkeys(result.activations.neurons, 1.0)
    replace(result, known=(Column("impact", "", values, is_score=False), Column("iou", "", values))).save(tmp_path)
    (tmp_path / "impact-of-layers.csv").write_text("layer,neurons\nplanted,6\n")
    assert [column.title for column in le.read_result(tmp_path).columns] == ["iou", "impact"]
    result.save(tmp_path)
    assert [column.title for column in le.read_result(tmp_path).columns] == ["correlation"]
    assert (tmp_path / "impact-of-layers.csv").exists()  # a table of layers, which no page reads


def test_some_neurons_only(result: le.Result):
    full = replace(result, known=result.columns)
    few = full.only([4, 1])
    assert few.activations.neurons == few.explanations.neurons == (4, 1)
    (column,) = few.columns
    assert column.values == {neuron: full.columns[0].values[neuron] for neuron in (4, 1)}


def test_it_goes_on_a_page(result: le.Result, tmp_path: Path):
    assert "Neurons of" in le.write_report(result, tmp_path).read_text(encoding="utf-8")


def test_explanations_that_have_seen_the_test_images_are_refused(result: le.Result, tmp_path: Path):
    other = le.Split.random(200, seed=1)
    with pytest.raises(ValueError, match="fitted or chosen on"):
        replace(result, split=other)
    opened = replace(result, split=other, folder=tmp_path, known=result.columns)  # a command may be told to insist
    with pytest.raises(ValueError, match="fitted or chosen on"):
        le.write_report(opened, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_old_names_still_work_and_say_so(result: le.Result, tmp_path: Path):
    with pytest.warns(FutureWarning, match="le.Finding.* is now called le.Result"):
        old = le.Finding("ours", result, result.explanations)
    assert isinstance(old, le.Result)
    with pytest.warns(FutureWarning, match="le.read_finding is now called le.read_result"):
        assert le.read_finding(result.save(tmp_path)).columns[0].values == result.columns[0].values
