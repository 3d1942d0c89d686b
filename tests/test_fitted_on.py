"""Explanations know what they were fitted on, and nobody scores on these images unawares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import linexp as le
from linexp.results.folder import Run, load_explanations, save_explanations, save_run
from linexp.score import count_seen
from tests.test_explanation_csv import GOOD, HEADER

N = 200
PLANTED = le.make_planted(N, n_concepts=8, n_neurons=3)
ACTIVATIONS = le.ActivationMatrix(PLANTED.activations.values, layer="planted", images="some pictures")
CONCEPTS = le.ConceptMatrix(PLANTED.concepts.values, PLANTED.concepts.names, "some pictures")
ONE, OTHER = le.Split.random(N), le.Split.random(N, seed=1)
SEEN = len(set(OTHER.test.tolist()) - set(ONE.test.tolist()))


@pytest.fixture(scope="module")
def explanations() -> le.Explanations:
    return le.LinearExplainer().explain(ACTIVATIONS, CONCEPTS, ONE)


def test_an_explainer_says_what_it_looked_at(explanations: le.Explanations):
    assert 0 < SEEN < len(OTHER.test)
    assert count_seen(explanations, ACTIVATIONS, ONE.test) == 0
    assert count_seen(explanations, ACTIVATIONS, ONE.val) == len(ONE.val)
    assert count_seen(explanations, ACTIVATIONS, range(N)) == len(ONE.train) + len(ONE.val)
    assert count_seen(explanations[:1], ACTIVATIONS, OTHER.test) == SEEN
    # Images whose numbers are beyond what was looked at were not.
    assert le.FittedOn.of(le.Split([0, 1], [2, 3], [4, 5]), "x").count("x", [3, 4, 900]) == 1


def test_what_is_not_known_is_not_guessed(explanations: le.Explanations):
    unnamed = le.LinearExplainer().explain(PLANTED.activations, PLANTED.concepts, ONE)
    assert unnamed.fitted_on is None
    assert count_seen(unnamed, ACTIVATIONS, ONE.train) is None
    assert count_seen(explanations, PLANTED.activations, ONE.train) is None
    others = le.ActivationMatrix(ACTIVATIONS.values, images="other pictures")
    assert count_seen(explanations, others, ONE.train) is None
    le.check_unseen(explanations, others, ONE.train)


def test_scoring_on_them_is_refused(explanations: le.Explanations):
    le.check_unseen(explanations, ACTIVATIONS, ONE.test)
    with pytest.raises(ValueError, match=f"fitted or chosen on {SEEN} of the 40 images that they would be scored on"):
        le.check_unseen(explanations, ACTIVATIONS, OTHER.test)


def test_a_report_of_them_is_refused(explanations: le.Explanations):
    run = Run(ACTIVATIONS, CONCEPTS, OTHER, image_names=tuple(map(str, range(N))))
    with pytest.raises(ValueError, match=f"fitted or chosen on {SEEN} of the 40 images"):
        le.Result.of(run, explanations, method="theirs")
    le.Result.of(replace(run, split=ONE), explanations, method="theirs")


def test_the_file_carries_it_and_others_can_read_the_file(explanations: le.Explanations, tmp_path: Path):
    explanations.to_csv(tmp_path / "e.csv")
    back = le.Explanations.from_csv(tmp_path / "e.csv")
    assert back.fitted_on == explanations.fitted_on
    assert count_seen(back, ACTIVATIONS, OTHER.test) == SEEN
    frame = pd.read_csv(tmp_path / "e.csv")
    assert list(frame["neuron"]) == [0, 1, 2]
    assert frame["fitted_on0"].notna().tolist() == [True, False, False]
    # A spreadsheet may sort the lines; the line that says it may stand anywhere.
    frame.iloc[::-1].to_csv(tmp_path / "sorted.csv", index=False)
    assert le.Explanations.from_csv(tmp_path / "sorted.csv").fitted_on == explanations.fitted_on
    frame.iloc[1:].to_csv(tmp_path / "cut.csv", index=False)
    assert le.Explanations.from_csv(tmp_path / "cut.csv").fitted_on is None


def test_a_collection_of_a_million_images_fits_into_one_line(tmp_path: Path):
    split = le.Split.random(1_300_000)
    one = le.Explanations((le.Explanation(0, (le.Term("a", 1.0),)),), fitted_on=le.FittedOn.of(split, "many: pictures"))
    one.to_csv(tmp_path / "e.csv")
    back = le.Explanations.from_csv(tmp_path / "e.csv")
    assert back == one
    assert max(map(len, (tmp_path / "e.csv").read_text().split("\n")[1].split(","))) <= 30_000
    counts = [back.fitted_on.count("many: pictures", rows) for rows in (split.train, split.val, split.test)]
    assert counts == [910_000, 130_000, 0]


@pytest.mark.parametrize("text", ["nonsense", "abc:", ":AA==", "abc:A", "abc:Ä"])
def test_a_cell_that_says_nothing_is_named(tmp_path: Path, text: str):
    path = tmp_path / "e.csv"
    path.write_text(HEADER.strip() + ",fitted_on0\n" + GOOD.strip() + f",{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"The column fitted_on0 of '.*' does not say on which images it was fitted"):
        le.Explanations.from_csv(path)


def test_two_splits_in_one_file_are_refused(tmp_path: Path):
    lines = (GOOD.strip() + ",a:AQ==\n", GOOD.replace("l,3", "l,4").strip() + ",a:Ag==\n")
    (tmp_path / "e.csv").write_text(HEADER.strip() + ",fitted_on0\n" + "".join(lines))
    with pytest.raises(ValueError, match=r"says 2 things. Keep explanations of one split per file"):
        le.Explanations.from_csv(tmp_path / "e.csv")


def test_results_of_older_versions_know_it_from_their_folder(explanations: le.Explanations, tmp_path: Path):
    save_run(tmp_path, Run(ACTIVATIONS, CONCEPTS, ONE, image_names=tuple(map(str, range(N)))))
    save_explanations(tmp_path, replace(explanations, fitted_on=None))
    assert b"fitted_on" not in (tmp_path / "explanations.csv").read_bytes()
    assert load_explanations(tmp_path).fitted_on == explanations.fitted_on
    # What the file says goes first: it may have been put there from another result.
    foreign = replace(explanations, fitted_on=le.FittedOn.of(OTHER, "some pictures"))
    save_explanations(tmp_path, foreign)
    assert load_explanations(tmp_path).fitted_on == foreign.fitted_on


def test_the_bits_are_those_of_the_rows():
    fitted = le.FittedOn.of(le.Split([0, 9], [2, 3], [4, 5]), "x")
    assert str(fitted) == "x:DQI="
    assert le.FittedOn.parse("x:DQI=") == fitted
    assert fitted.count("x", torch.arange(10)) == fitted.count("x", np.arange(10)) == 4
