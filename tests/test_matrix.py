"""The two matrices: what they accept, what they refuse, and that names stay with columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.images import ImageArray, ImageFiles, ImageSubset


def test_values_keep_their_precision():
    assert le.ActivationMatrix([[1, 2], [3, 4]]).values.dtype == torch.float32
    assert le.ActivationMatrix(np.ones((2, 2), np.float16)).values.dtype == torch.float32
    assert le.ActivationMatrix(np.full((2, 2), 1 / 3)).values[0, 0].item() == 1 / 3


def test_select_keeps_identifiers_with_columns():
    matrix = le.ActivationMatrix(torch.arange(12.0).reshape(3, 4), [10, 11, 12, 13], "layer4", "f")
    chosen = matrix.select([13, 10])
    assert chosen.neurons == (13, 10)
    assert chosen.values.tolist() == [[3, 0], [7, 4], [11, 8]]
    assert (chosen.layer, chosen.images, chosen.n_images, chosen.n_neurons) == ("layer4", "f", 3, 2)
    with pytest.raises(ValueError, match="Neuron 14 is not among the 4 neurons of layer 'layer4'"):
        matrix.select([10, 14])


def test_blocks_are_rows_in_the_order_asked_for():
    matrix = le.ConceptMatrix(torch.eye(3), ["a", "b", "c"])
    for rows in ([2, 0], (2, 0), np.array([2, 0]), torch.tensor([2, 0])):
        assert matrix.block(rows).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert matrix.block(slice(1, 2)).tolist() == [[0, 1, 0]]
    assert (matrix.n_images, matrix.n_concepts) == (3, 3)


def test_matrices_cannot_be_changed():
    matrix = le.ConceptMatrix(torch.eye(2), ["a", "b"])
    with pytest.raises(AttributeError):
        matrix.names = ("c", "d")  # pyright: ignore


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (0, 3), (3, 0)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"The values have the shape .* must be a matrix \[images, neurons\]"):
        le.ActivationMatrix(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_activations_that_are_no_numbers_name_neuron_and_image(value):
    values = torch.zeros(4, 3)
    values[2, 1] = value
    with pytest.raises(ValueError, match=rf"Neuron 11 of layer 'x' is {value} on image 2 \(1 such values"):
        le.ActivationMatrix(values, [10, 11, 12], "x")


def test_overflowing_half_precision_is_found():
    with pytest.raises(ValueError, match="Neuron 0 is inf on image 0"):
        le.ActivationMatrix(torch.tensor([[70000.0]]).half())


def test_taken_rows_are_named_as_the_same_subset_of_images():
    images = ImageArray(np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8))
    matrix = le.ActivationMatrix(torch.arange(8.0).reshape(4, 2), [5, 9], "fc", images.fingerprint)
    taken = matrix.take(torch.tensor([3, 1]))
    assert taken.values.tolist() == [[6, 7], [2, 3]]
    assert (taken.neurons, taken.layer) == ((5, 9), "fc")
    assert taken.images == ImageSubset(images, [3, 1]).fingerprint == matrix.take([3, 1], images).images
    assert len({matrix.take(rows).images for rows in ([3, 1], [1, 3], [3], slice(1, None), [0, 1, 2, 3])}) == 5
    assert matrix.take(slice(None)).images == images.fingerprint == matrix.take([0, 1, 2, -1]).images
    assert le.ActivationMatrix(torch.zeros(2, 1)).take([1]).images is None


def test_taken_rows_of_files_are_known_by_their_bytes(tmp_path: Path):
    for place in range(3):
        Image.new("RGB", (8, 8), (50 * place, 0, 0)).save(tmp_path / f"{place}.png")
    paths = sorted(tmp_path.iterdir())
    images = ImageFiles(paths)
    matrix = le.ActivationMatrix(torch.zeros(3, 1), images=images.fingerprint)
    assert matrix.take([2, 0], images).images == ImageFiles([paths[2], paths[0]]).fingerprint
    with pytest.raises(le.DifferentImagesError, match="come from different images"):
        matrix.take([2, 0], ImageFiles(paths[::-1]))
    with pytest.raises(le.DifferentImagesError, match="2 images and the other 3"):
        matrix.take([1, 0], ImageFiles(paths[:2]))
    with pytest.raises(ValueError, match="at least one row"):
        matrix.take([])


def test_neuron_identifiers_must_be_distinct_and_as_many():
    with pytest.raises(ValueError, match="2 names for 3 neurons"):
        le.ActivationMatrix(torch.zeros(1, 3), [0, 1])
    with pytest.raises(ValueError, match="7 stands for more than one of the neurons"):
        le.ActivationMatrix(torch.zeros(1, 2), [7, 7])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_presence_outside_zero_to_one(value):
    with pytest.raises(ValueError, match=r"Concept 'b' is .* on image 1\. The presence"):
        le.ConceptMatrix([[0, 0], [0, value]], ["a", "b"])


def test_concept_names():
    with pytest.raises(ValueError, match="1 names for 2 concepts"):
        le.ConceptMatrix(torch.zeros(1, 2), ["a"])
    for name in ("", "  ", None):
        with pytest.raises(ValueError, match="name of concept 1 is"):
            le.ConceptMatrix(torch.zeros(1, 2), ["a", name])  # pyright: ignore


def test_duplicates_merge_into_their_maximum_with_a_warning():
    values = torch.tensor([[0.1, 0.2, 0.7, 0.4], [0.9, 0.3, 0.1, 0.5]])
    with pytest.warns(UserWarning, match=r"1 concept columns had a name already taken.*\(missile\)"):
        merged = le.ConceptMatrix(values, ["missile", "dog", "missile", "cat"])
    assert merged.names == ("missile", "dog", "cat")
    np.testing.assert_allclose(merged.values.numpy(), [[0.7, 0.2, 0.4], [0.9, 0.3, 0.5]], rtol=1e-6)


# --- tables ---


def test_a_table_is_a_matrix_with_names():
    table = pd.DataFrame({"red": [0, 1], "blue": [0.5, 0.25]})
    named = le.ConceptMatrix(table)
    assert named.names == ("red", "blue")
    assert named.values.tolist() == [[0, 0.5], [1, 0.25]]
    assert le.ConceptMatrix(table, ["a", "b"]).names == ("a", "b")
    assert le.ConceptMatrix(table > 0).values.tolist() == [[0, 1], [1, 1]]
    gaps = pd.DataFrame({"red": pd.array([1, 0], dtype="Int64"), "blue": [True, False]})
    assert le.ConceptMatrix(gaps).values.tolist() == [[1, 1], [0, 0]]
    assert le.ActivationMatrix(pd.DataFrame({4: [1.0, 2.0], 9: [3.0, 4.0]})).neurons == (4, 9)
    assert le.ActivationMatrix(pd.DataFrame(np.eye(2))).neurons == (0, 1)


def test_tables_of_something_else_are_refused():
    with pytest.raises(
        TypeError, match=r"are a DataFrame that does not hold numbers alone .*\[images, concepts\] of num"
    ):
        le.ConceptMatrix(pd.DataFrame({"red": ["yes", "no"]}))
    with pytest.raises(ValueError, match="Neuron 0 is nan on image 1"):
        le.ActivationMatrix(pd.DataFrame({0: pd.array([1, None], dtype="Int64")}))
    with pytest.raises(TypeError, match=r"are a ndarray of <U3\. Give a matrix \[images, concepts\] of numbers"):
        le.ConceptMatrix(np.array([["yes", "no"]]), ["a", "b"])
    with pytest.raises(
        ValueError, match=r"The table has a column 'red', and neurons are called by whole numbers\. Give n"
    ):
        le.ActivationMatrix(pd.DataFrame({"red": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="The name of concept 0 is 0"):
        le.ConceptMatrix(pd.DataFrame(np.eye(2)))
    with pytest.raises(ValueError, match=r"There are no names for 2 concepts\. Give one for each column"):
        le.ConceptMatrix(np.eye(2))


@pytest.mark.parametrize("order", [">f8", ">f4", "<f4"])
def test_arrays_that_cannot_be_written_or_are_stored_otherwise(order: str):
    values = np.arange(6).reshape(2, 3).astype(order)
    values.flags.writeable = False  # torch would warn, and warnings are errors here
    assert le.ActivationMatrix(values).values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert le.ActivationMatrix(values[::-1]).values.tolist() == [[3, 4, 5], [0, 1, 2]]
