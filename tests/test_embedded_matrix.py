"""The concept matrix that is never held whole: literal values, the same bytes in any block, any order."""

import numpy as np
import pytest
import torch

import linexp as le
from linexp.matrix import EmbeddedConceptMatrix

A, B = 12.0, -0.2


def unit(rows: int, seed: int, dims: int = 48) -> torch.Tensor:
    vectors = np.random.default_rng(seed).standard_normal((rows, dims)) + 0.5
    return torch.from_numpy((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def make(n_images: int = 1500, n_concepts: int = 70) -> EmbeddedConceptMatrix:
    names = [f"c{column}" for column in range(n_concepts)]
    return EmbeddedConceptMatrix(unit(n_images, 0), unit(n_concepts, 1), names, A, B, images="f")


def test_equals_the_literal_formula():
    matrix = make()
    images, texts = (side.double().numpy() for side in (matrix.image_embeddings, matrix.text_embeddings))
    expected = 1 / (1 + np.exp(-A * (images @ texts.T + B)))
    np.testing.assert_allclose(matrix.values.numpy(), expected, atol=2e-6)
    assert (matrix.n_images, matrix.n_concepts, matrix.images) == (1500, 70, "f")
    assert repr(matrix) == "EmbeddedConceptMatrix(1500 images, 70 concepts)"


@pytest.mark.parametrize("size", [1, 7, 255, 256, 257, 1000, 1500])
def test_any_block_has_the_same_bytes(size):
    matrix = make()
    whole = matrix.values
    parts = [matrix.block(slice(start, start + size)) for start in range(0, 1500, size)]
    assert torch.equal(torch.cat(parts), whole)


def test_any_order_of_rows_has_the_same_bytes():
    matrix = make()
    order = torch.randperm(1500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(matrix.block(order), matrix.values[order])
    assert matrix.block([]).shape == (0, 70)


def test_only_some_concepts():
    matrix = make()
    chosen = matrix.only(["c69", "c0"])
    assert isinstance(chosen, EmbeddedConceptMatrix)
    assert chosen.names == ("c69", "c0")
    np.testing.assert_allclose(chosen.values.numpy(), matrix.values[:, [69, 0]].numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="concept 'c70' is not among the 70 of this matrix"):
        matrix.only(["c1", "c70"])


def test_sharpness_multiplies_the_logit_and_probabilities_stay():
    matrix = make()
    flat = matrix.with_sharpness(0.3)
    assert torch.equal(matrix.with_sharpness(1.0).values, matrix.values)
    assert matrix.as_probabilities() is matrix
    assert torch.equal(flat.as_probabilities().values, matrix.values)
    np.testing.assert_allclose(flat.values.logit().numpy(), 0.3 * matrix.values.double().logit().numpy(), atol=1e-3)
    assert flat.only(["c3"]).sharpness == 0.3


def test_which_concepts_take_part_does_not_depend_on_the_sharpness():
    matrix, split = make(), le.Split.random(1500)
    activations = le.ActivationMatrix(matrix.values[:, :3] + 0.1 * unit(1500, 5, dims=3), images="f")
    explainer = le.LinearExplainer(n_groups=0, n_repeats=2, min_activity=0.98)
    plain, flat = (explainer.explain(activations, one, split) for one in (matrix, matrix.with_sharpness(0.3)))
    assert plain.dropped
    assert flat.dropped == plain.dropped
    assert flat != plain


@pytest.mark.parametrize("search", ["greedy", "top"])
def test_explains_and_simulates_like_the_matrix_held_whole(search):
    matrix = make()
    present = matrix.values
    noise = 0.05 * torch.randn(1500, 3, generator=torch.Generator().manual_seed(1))
    neurons = le.ActivationMatrix(torch.stack([present[:, 5], present[:, 9] + present[:, 2], noise[:, 2]], 1) + noise)
    split = le.Split.random(1500)
    dense = le.ConceptMatrix(present, matrix.names, images="f")
    settings = le.LinearExplainer(search=search, max_terms=3, min_activity=0.1)
    found, expected = (settings.explain(neurons, concepts, split) for concepts in (matrix, dense))
    assert found.dropped_concepts == expected.dropped_concepts
    assert [item.concepts for item in found] == [item.concepts for item in expected]
    simulated = [le.simulate(found, concepts).values.numpy() for concepts in (matrix, dense)]
    np.testing.assert_allclose(*simulated, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"text_embeddings": unit(70, 1, dims=47)}, "embedded in 48 dimensions and the texts in 47"),
        ({"names": ["c0"]}, "1 names for 70 concepts"),
        ({"names": ["c"] * 70}, "'c' stands for more than one of the concepts"),
        ({"image_embeddings": torch.full((3, 48), float("nan"))}, "embedding is NaN or infinite"),
        ({"sharpness": 0.0}, r"The sharpness is 0\.0"),
    ],
)
def test_refused(change, text):
    given = {
        "image_embeddings": unit(3, 0),
        "text_embeddings": unit(70, 1),
        "names": [f"c{column}" for column in range(70)],
    }
    with pytest.raises(ValueError, match=text):
        EmbeddedConceptMatrix(**{**given, **change}, a=A, b=B)
