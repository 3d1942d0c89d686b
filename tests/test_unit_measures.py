"""Measures of units against loops over pairs of images; the word nearest to a decoder column."""

import itertools
import math

import pytest
import torch

import linexp as le
from linexp.score import units as measures


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(one @ other / one.norm() / other.norm())


def test_measures_are_those_of_loops_over_pairs(monkeypatch):
    monkeypatch.setattr(measures, "_AT_A_TIME", 7)
    monkeypatch.setattr(measures, "_UNITS", 2)
    values, embeddings = random(30, 5, seed=0), random(30, 4, seed=1).double() + 0.5
    found = le.measure_units(le.ActivationMatrix(values, [2, 4, 6, 8, 10]), embeddings, n_top=6)
    assert found.neurons == (2, 4, 6, 8, 10)
    centres = []
    for unit in range(5):
        column = values[:, unit].double()
        scaled = (column - column.min()) / (column.max() - column.min())
        pairs = list(itertools.combinations(range(30), 2))
        weights = [float(scaled[i] * scaled[j]) for i, j in pairs]
        alike = [cosine(embeddings[i], embeddings[j]) for i, j in pairs]
        wanted = sum(map(math.prod, zip(weights, alike, strict=True))) / sum(weights)
        assert float(found.monosemanticity[unit]) == pytest.approx(wanted, abs=1e-9)
        top = sorted(range(30), key=lambda image: -float(column[image]))[:6]
        wanted = [cosine(embeddings[i], embeddings[j]) for i, j in itertools.combinations(top, 2)]
        assert float(found.clarity[unit]) == pytest.approx(sum(wanted) / len(wanted), abs=1e-9)
        centres.append(sum(embeddings[i] / embeddings[i].norm() for i in top))
        assert int(found.n_active[unit]) == sum(float(value) > 0 for value in column)
    for unit in range(5):
        wanted = max(cosine(centres[unit], centres[other]) for other in range(5) if other != unit)
        assert float(found.redundancy[unit]) == pytest.approx(wanted, abs=1e-9)


def test_a_unit_of_one_kind_of_image_is_monosemantic():
    embeddings = torch.eye(3)[[image % 3 for image in range(30)]]
    values = torch.stack([embeddings[:, 0], torch.arange(30.0), torch.ones(30)], 1)
    found = le.measure_units(le.ActivationMatrix(values), embeddings, n_top=10)
    assert float(found.monosemanticity[0]) == pytest.approx(1)
    assert float(found.clarity[0]) == pytest.approx(1)
    assert float(found.monosemanticity[1]) < 0.5
    assert math.isnan(found.monosemanticity[2])
    with pytest.raises(ValueError, match="for 30 images"):
        le.measure_units(le.ActivationMatrix(values), embeddings[:5])
    with pytest.raises(ValueError, match="An embedding is 0"):
        le.measure_units(le.ActivationMatrix(values), embeddings * 0)


def test_the_word_nearest_to_the_decoder_column():
    pictures, words = random(200, 6, seed=2), random(8, 6, seed=3)
    names = [f"word {place}" for place in range(8)]
    concepts = le.EmbeddedConceptMatrix(pictures, words, names, a=5.0, b=0.0)
    decoder = words[[3, 5, 0]] * 2 + 0.1 * random(3, 6, seed=4)
    latents = le.ActivationMatrix((pictures @ decoder.T).relu())
    split = le.Split.random(200, seed=0)
    found = le.DecoderTextExplainer(decoder).explain(latents, concepts, split)
    for latent, explanation in enumerate(found):
        nearest = max(range(8), key=lambda place: cosine(decoder[latent], words[place]))
        assert explanation.names == (names[nearest],)
        assert explanation.measure.value == pytest.approx(cosine(decoder[latent], words[nearest]), abs=1e-6)
    some = le.DecoderTextExplainer(decoder).explain(latents.select([2, 0]), concepts, split)
    assert [one.names for one in some] == [found[2].names, found[0].names]
    with pytest.raises(ValueError, match="have 5 dimensions and the concepts' embeddings 6"):
        le.DecoderTextExplainer(decoder[:, :5]).explain(latents, concepts, split)
    with pytest.raises(ValueError, match="Neuron 2 is none of the decoder's 2 latents"):
        le.DecoderTextExplainer(decoder[:2]).explain(latents, concepts, split)
