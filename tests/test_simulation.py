"""Simulation equals the literal weighted sum, whatever the order and number of concepts."""

import numpy as np
import pytest
import torch

import linexp as le
from tests.reference import paper


def make(n_images=5000, n_concepts=9):
    values = np.random.default_rng(0).random((n_images, n_concepts)).astype(np.float32)
    return le.ConceptMatrix(values, [f"c{column}" for column in range(n_concepts)], images="f")


EXPLANATIONS = le.Explanations(
    (
        le.Explanation(3, (le.Term("c4", 2.5), le.Term("c0", -1.25)), 0.5),
        le.Explanation(1, (), -0.75, outcome="empty"),
        le.Explanation(8, (le.Term("c0", 1e-6),), 1e-3),
    ),
    "layer",
)


def test_equals_the_literal_sum():
    concepts = make()
    simulated = le.simulate(EXPLANATIONS, concepts)
    assert (simulated.neurons, simulated.layer, simulated.images) == ((3, 1, 8), "layer", "f")
    values = concepts.values.double().numpy()
    for column, item in enumerate(EXPLANATIONS):
        terms = [(concepts.names.index(term.concept), term.weight) for term in item.terms]
        expected = paper.simulate(terms, item.bias, values)
        np.testing.assert_allclose(simulated.values[:, column].numpy(), expected, rtol=1e-6)


def test_any_part_of_the_images_gives_the_same_bytes():
    concepts = make()
    whole = le.simulate(EXPLANATIONS, concepts).values
    for start, stop in ((0, 1), (100, 4200), (4999, 5000)):
        part = le.simulate(EXPLANATIONS, le.ConceptMatrix(concepts.values[start:stop], concepts.names)).values
        assert torch.equal(part, whole[start:stop])


def test_the_order_of_concepts_does_not_matter():
    concepts = make()
    order = [8, 3, 4, 0, 1, 2, 5, 7, 6]
    moved = le.ConceptMatrix(concepts.values[:, order], [concepts.names[column] for column in order])
    assert torch.equal(le.simulate(EXPLANATIONS, moved).values, le.simulate(EXPLANATIONS, concepts).values)


def test_missing_concept():
    concepts = le.ConceptMatrix(torch.zeros(2, 2), ["c0", "c44"])
    with pytest.raises(ValueError, match=r"concept 'c4' is not among the 2 of this matrix\. Did you"):
        le.simulate(EXPLANATIONS, concepts)
