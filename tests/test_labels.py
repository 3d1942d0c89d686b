"""Concepts from labels: classes, groups, tables, and the two files people write by hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from linexp import ImageArray, ImageFolder, LabelConcepts
from linexp.concepts.vocabulary.files import read_class_names, read_groups

CLASSES = ["cat", "dog", "wolf", "car", "bus"]
LABELS = [3, 0, 1, 4, 2, 0]


def images(labels: list[int] | None = LABELS, names: list[str] = CLASSES) -> ImageArray:
    n_images = 4 if labels is None else len(labels)
    pictures = np.arange(n_images, dtype=np.uint8)[:, None, None, None].repeat(3, -1)
    return ImageArray(pictures, labels, names if labels is not None else [])


def describe(groups: Mapping[str, Any] | None, **of: Any) -> dict[str, list[int]]:
    """Return which images have each concept."""
    concepts = LabelConcepts(groups).describe(images(**of))
    return {
        name: torch.nonzero(concepts.values[:, column]).flatten().tolist() for column, name in enumerate(concepts.names)
    }


def test_classes_alone():
    concepts = LabelConcepts().describe(images())
    assert concepts.names == tuple(CLASSES)
    assert concepts.values.tolist() == [[float(label == column) for column in range(5)] for label in LABELS]
    assert concepts.images == images().fingerprint


def test_classes_that_no_image_has_stay_as_columns():
    found = describe(None, labels=[0, 1, 0])
    assert found == {"cat": [0, 2], "dog": [1], "wolf": [], "car": [], "bus": []}


def test_groups_come_behind_the_classes_in_the_order_given():
    found = describe({"vehicle": ["car", "bus"], "animal": ["cat", "dog", "wolf"]})
    assert list(found) == [*CLASSES, "vehicle", "animal"]
    assert found["vehicle"] == [0, 3]
    assert found["animal"] == [1, 2, 4, 5]


@pytest.mark.parametrize(
    "groups",
    [
        {"canine": ["dog", "wolf"], "animal": ["cat", "canine"]},
        {"animal": ["cat", "canine"], "canine": ["wolf", "dog"]},
        {"animal": {"canine": ["dog", "wolf"], "feline": ["cat"]}},
        {"animal": {"mammal": {"canine": [1, 2], "feline": [0]}}},
        {"canine": (np.int64(1), 2), "animal": ["canine", "cat", "cat"]},
    ],
)
def test_groups_of_groups_and_class_numbers(groups: dict[str, Any]):
    found = describe(groups)
    assert found["canine"] == [2, 4]
    assert found["animal"] == [1, 2, 4, 5]


def test_one_group_may_be_inside_two():
    found = describe({"pet": {"small": ["cat"]}, "predator": {"small": ["cat"], "large": ["wolf"]}})
    assert (found["small"], found["pet"], found["predator"]) == ([1, 5], [1, 5], [1, 4, 5])


def test_a_group_called_like_a_class_is_merged_with_it():
    with pytest.warns(UserWarning, match=r"1 concept columns had a name already taken .*\(dog\)"):
        found = describe({"dog": ["dog", "wolf"], "animal": ["dog", "cat"]})
    assert found["dog"] == [2, 4]
    assert found["animal"] == [1, 2, 4, 5]


def test_a_member_that_is_class_and_group_stands_for_both():
    with pytest.warns(UserWarning, match="merged"):
        found = describe({"dog": ["wolf"], "pet": ["dog"]})
    assert (found["dog"], found["pet"]) == ([2, 4], [2, 4])


def test_two_folders_of_one_human_name_are_one_concept(tmp_path: Path):
    for folder in ("n1", "n2", "n3"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "a.png")
    folder = ImageFolder(tmp_path, {"n1": "crane", "n2": "cat", "n3": "crane"})
    with pytest.warns(UserWarning, match=r"merged into it \(crane\)"):
        concepts = LabelConcepts({"bird": ["crane"]}).describe(folder)
    assert concepts.names == ("crane", "cat", "bird")
    assert concepts.values.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_distinct_names_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        describe({"animal": ["cat", "dog"]})


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (
            {"a": ["cta"]},
            r"The group 'a' has the member 'cta', which is neither a class nor a group\. Did you mean 'cat'\? Correct",
        ),
        ({"canine": ["dog"], "a": ["canin"]}, "Did you mean 'canine'"),
        ({"a": ["b"], "b": ["c", "cat"], "c": ["a"]}, r"'a' contains itself \(a → b → c → a\)\. Break the circle"),
        ({"x": ["a"], "a": ["a"]}, r"'a' contains itself \(a → a\)"),
        ({"a": []}, r"The group 'a' has no members\. Give it some, or leave it out"),
        ({"a": {"b": []}}, r"The group 'b' has no members"),
        ({"a": "cat"}, r"The group 'a' is 'cat'\. Give a list of its members"),
        ({"a": 3}, r"The group 'a' is 3\. Give a list of its members"),
        ({"a": None}, r"The group 'a' is None\. Give a list"),
        ({"a": [["cat"]]}, r"The group 'a' has the member \['cat'\]\. Members are names of classes or groups"),
        ({"a": [True]}, r"The group 'a' has the member True\. Members are"),
        ({"a": [1.0]}, r"The group 'a' has the member 1\.0\. Members are"),
        ({"a": [5]}, r"The group 'a' has the class number 5, but the classes are 0 to 4\. Correct"),
        ({"a": [-1]}, r"has the class number -1, but the classes are 0 to 4"),
        ({"x": {"s": ["cat"]}, "y": {"s": ["dog"]}}, r"The group 's' is defined twice, with different members\. Give"),
    ],
)
def test_groups_that_make_no_sense(groups: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        describe(groups)


def test_images_without_labels_or_with_one_class():
    with pytest.raises(ValueError, match=r"have no labels\. Sort them into one folder per class, pass labels"):
        LabelConcepts().describe(images(None))
    with pytest.raises(ValueError, match=r"All 3 images have the label 'dog', .* Add images of other classes"):
        LabelConcepts().describe(images([1, 1, 1]))


def test_a_class_name_that_is_no_text():
    with pytest.raises(ValueError, match=r"The class name 'caf\\udce9' is not text in UTF-8.* Rename its folder"):
        LabelConcepts().describe(images([0, 1], ["caf\udce9", "cat"]))


TABLE = [[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        np.array(TABLE, bool),
        torch.tensor(TABLE),
        torch.tensor(TABLE, dtype=torch.float64),
        pd.DataFrame(TABLE, columns=["a", "b", "c"]),
    ],
)
def test_a_table_of_several_labels_per_image(table: Any):
    concepts = LabelConcepts(table=table, names=["a", "b", "c"]).describe(images(None))
    assert concepts.names == ("a", "b", "c")
    assert concepts.values.tolist() == TABLE
    assert concepts.images == images(None).fingerprint


def test_columns_of_one_name_are_merged_and_the_others_keep_their_values():
    with pytest.warns(UserWarning, match=r"1 concept columns .* merged into it \(b\)"):
        concepts = LabelConcepts(
            table=[[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]], names=["b", "a", "b", "c"]
        ).describe(images(None))
    assert concepts.names == ("b", "a", "c")
    assert concepts.values.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("table", "names", "said"),
    [
        (TABLE[:3], ["a", "b", "c"], r"has the shape \[3, 3\] for 4 images\. Give it one row per image"),
        ([1, 0, 1, 0], ["a"], r"has the shape \[4\] for 4 images"),
        (TABLE, ["a", "b"], r"has 3 columns and 2 names\. Name each"),
        ([[0, 1], [2, 0], [0, 0], [0, 0]], ["a", "b"], r"is 2 in row 1, column 0\. Use 0 for absent and 1 for present"),
        ([[0.0], [1], [0.5], [0]], ["a"], r"is 0\.5 in row 2, column 0"),
        (torch.tensor([[0], [1], [1 - 1e-12], [0]], dtype=torch.float64), ["a"], r"is 0\.999999999999 in row 2"),
        ([[0.0], [float("nan")], [1], [0]], ["a"], r"is nan in row 1, column 0"),
        ([["yes"], ["no"], ["no"], ["no"]], ["a"], r"is not a matrix of numbers .* Use 0 for absent"),
        ([[1, 0], [1], [0], [0]], ["a"], "is not a matrix of numbers"),
        (TABLE, ["a", "", "c"], r"The name of concept 1 is ''\. Give every concept a word"),
    ],
)
def test_tables_that_make_no_sense(table: Any, names: list[str], said: str):
    with pytest.raises(ValueError, match=said):
        LabelConcepts(table=table, names=names).describe(images(None))


def test_table_names_and_groups_that_do_not_go_together():
    with pytest.raises(ValueError, match="pass table and names together"):
        LabelConcepts(table=TABLE)
    with pytest.raises(ValueError, match="pass table and names together"):
        LabelConcepts(names=["a"])
    with pytest.raises(ValueError, match=r"has no classes to group\. Add the groups as columns"):
        LabelConcepts({"a": ["b"]}, table=TABLE, names=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"names of the table's columns are the text 'abc'\. Give a list"):
        LabelConcepts(table=TABLE, names="abc")


def test_groups_from_a_file(tmp_path: Path):
    path = tmp_path / "groups.json"
    path.write_text('\ufeff{"tier": {"katze": ["cät", 3]}}', encoding="utf-8")
    assert read_groups(path) == {"tier": {"katze": ["cät", 3]}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("animal: cat", r"groups.json' is not JSON \(.*line 1 column 1.*\)\. Write it as \{\"animal\""),
        ("[1, 2]", r"holds a list\. Write it as"),
        ("{}", r"holds no group\. Write it as"),
        ("null", r"holds no group\. Write it as"),
        ('{"a": ["b"], "a": ["c"]}', r"names the group 'a' twice\. Keep one of the two"),
    ],
)
def test_group_files_that_make_no_sense(tmp_path: Path, text: str, said: str):
    (tmp_path / "groups.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_groups(tmp_path / "groups.json")


def test_class_names_from_a_file(tmp_path: Path):
    path = tmp_path / "names.tsv"
    path.write_text("n1\tcat, tabby\r\n\r\n n2 \t dög\u2028x \nn1\tcat, tabby\n", encoding="utf-8", newline="")
    assert read_class_names(path) == {"n1": "cat, tabby", "n2": "dög\u2028x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n1\tcat\nn2 dog\n", r"Line 2 of '.*names.tsv' is 'n2 dog'\. Write folder, tab, name"),
        ("n1\t \n", r"Line 1 of .* Write folder, tab, name"),
        ("\tcat\n", r"Line 1 of .* Write folder, tab, name"),
        ("n1\tcat\nn1\tdog\n", r"Line 2 of .* calls the folder 'n1' 'dog', but it was 'cat' above\. Keep one name"),
    ],
)
def test_name_files_that_make_no_sense(tmp_path: Path, text: str, said: str):
    (tmp_path / "names.tsv").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_class_names(tmp_path / "names.tsv")


@pytest.mark.parametrize("read", [read_groups, read_class_names])
def test_files_that_cannot_be_read(tmp_path: Path, read: Any):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*none' to read .* from\. Give its path"):
        read(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Give the file to read"):
        read(tmp_path)
    (tmp_path / "latin").write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"is not UTF-8 text \(.*\)\. Save it as UTF-8"):
        read(tmp_path / "latin")
