"""Simulability: words that the judge does not know are found, and nothing else is."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp.score import SIMULABLE, read_simulability

NAMES = ("same", "less", "noise", "flat there", "flat here")


def make_matrices(n_images: int = 400) -> tuple[le.ConceptMatrix, le.ConceptMatrix]:
    rng = np.random.default_rng(0)
    here = rng.random((n_images, 5)).astype(np.float32)
    here[:, 4] = 0.3
    there = rng.random((n_images, 5)).astype(np.float32)
    there[:, 0] = 0.5 * here[:, 0] + 0.1  # another scale is no other meaning
    there[:, 1] = 0.5 * (there[:, 1] + here[:, 1])
    there[:, 3] = 0.7
    return le.ConceptMatrix(here, NAMES, "pictures"), le.ConceptMatrix(there[:, ::-1].copy(), NAMES[::-1], "pictures")


def test_it_is_the_correlation_over_the_rows():
    here, there = make_matrices()
    rows = torch.arange(0, 400, 3)
    found = le.simulability(here, there, rows, simulator="judge")
    assert found.concepts == NAMES
    for place, name in enumerate(NAMES[:3]):
        columns = here.only([name]).block(rows).numpy()[:, 0], there.only([name]).block(rows).numpy()[:, 0]
        assert float(found.values[place]) == pytest.approx(np.corrcoef(*columns)[0, 1], abs=1e-6)
    assert found.values[3:].isnan().all()
    assert (found.n_images, found.simulator) == (134, "judge")
    assert found.of("same") == pytest.approx(1)
    assert found.of("never asked") is None
    assert found.unknown == ("flat here", "flat there", "noise")


def test_concepts_that_only_one_has_are_not_measured():
    here, there = make_matrices()
    found = le.simulability(here, there.only(["noise", "same"]), range(400))
    assert found.concepts == ("same", "noise")
    with pytest.raises(ValueError, match="The concept 'less' is not among the 2"):
        le.simulability(here, there.only(["noise", "same"]), range(400), ["less"])


def test_unlike_things_are_refused():
    here, there = make_matrices()
    with pytest.raises(le.DifferentImagesError):
        le.simulability(here, le.ConceptMatrix(there.values, there.names, "others"), range(400))
    with pytest.raises(ValueError, match="There are 1 images to correlate on"):
        le.simulability(here, there, [3])


def test_the_file_comes_back_least_known_first(tmp_path: Path):
    here, there = make_matrices()
    found = le.simulability(here, there, range(400), simulator="judge")
    terms = (le.Term("same", 2.0), le.Term("noise", 1.0)), (le.Term("noise", -1.0), le.Term("flat here", 0.5))
    explanations = le.Explanations(tuple(le.Explanation(neuron, two) for neuron, two in enumerate(terms)))
    assert found.count_unknown(explanations) == 3
    found.to_csv(tmp_path / "s.csv", explanations)
    with (tmp_path / "s.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["concept"] for line in lines] == ["flat here", "flat there", "noise", "less", "same"]
    assert [line["in_terms"] for line in lines] == ["1", "0", "2", "0", "1"]
    assert [line["simulability"] for line in lines[:2]] == ["", ""]
    back = read_simulability(tmp_path / "s.csv")
    assert (back.n_images, back.simulator, back.unknown) == (400, "judge", found.unknown)
    for name in NAMES:
        assert back.of(name) == found.of(name) or math.isnan(found.of(name))


def test_another_file_is_refused(tmp_path: Path):
    (tmp_path / "s.csv").write_text("neuron,correlation\n0,0.5\n")
    with pytest.raises(ValueError, match="does not say how well concepts are known"):
        read_simulability(tmp_path / "s.csv")


def test_the_limit_is_beyond_chance_on_a_thousand_images():
    rng = np.random.default_rng(0)
    names = [f"word {number}" for number in range(500)]
    one, other = (le.ConceptMatrix(rng.random((1000, 500), np.float32), names, "pictures") for _ in range(2))
    found = le.simulability(one, other, range(1000))
    assert float(found.values.abs().mean()) < SIMULABLE / 3
    assert len(found.unknown) >= 499
