"""What classes are called on the command line, and which groups WordNet makes of them whatever they are called."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import linexp as le
from linexp import cli
from linexp.concepts.vocabulary import superclasses
from linexp.concepts.vocabulary.files import open_groups, open_pictures
from linexp.concepts.vocabulary.wordnet import imagenet_classes

# cock, hen, goldfish, two kinds of missile, two of sunglasses, drake.
WNIDS = (
    *("n01514668", "n01514859", "n01443537", "n03773504", "n04008634"),
    *("n04355933", "n04356056", "n01847000", "n01855672"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for wnid in WNIDS:
        (tmp_path / wnid).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / wnid / "picture.png")
    return tmp_path


def test_the_papers_names(folder: Path):
    images = open_pictures(folder, "imagenet-paper")
    assert dict(zip(sorted(WNIDS), images.label_names, strict=True)) == {
        "n01443537": "goldfish",
        "n01514668": "rooster",
        "n01514859": "hen",
        "n01847000": "duck",
        "n01855672": "goose",
        "n03773504": "missile",
        "n04008634": "missile",
        "n04355933": "sunglasses",
        "n04356056": "sunglasses",
    }
    assert open_pictures(folder, "imagenet").label_names[1] == "cock"


def test_without_open_clip_the_papers_names_say_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    true_import = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "open_clip":
            raise ModuleNotFoundError("No module named 'open_clip'")
        return true_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match=r"paper's names of ImageNet's classes .*pip install 'linexp\[open-c"):
        open_pictures(folder, "imagenet-paper")


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("names", [None, "imagenet", "imagenet-paper"])
def test_groups_are_of_the_same_pictures_whatever_classes_are_called(folder: Path, names: str | None, merge: bool):
    images = open_pictures(folder, names)
    groups = open_groups("wordnet", images, merge_homonyms=merge)
    assert groups is not None
    expected = superclasses(sorted(WNIDS), merge_homonyms=merge)
    assert list(groups.values()) == [[sorted(WNIDS).index(wnid) for wnid in found] for found in expected.values()]
    assert not set(groups) & set(images.label_names)  # or LabelConcepts would merge a group with a class
    le.LabelConcepts(groups)


def test_superclasses_are_words_whatever_classes_are_called(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    where = {"model": "none", "layer": ["none"], "images": folder, "out": tmp_path / "out"}
    words = {"concepts": "text", "vocabulary": "labels+superclasses", "encoder": "none"}
    with pytest.raises(ValueError, match="There is no encoder 'none'"):  # which comes after the words
        cli.explain(**where, **words, class_names="imagenet-paper")
    assert capsys.readouterr().out == "vocabulary: 14 words (dropped: duplicate 2)\n"  # 7 classes, 7 above them


def test_merged_homonyms_reach_the_command_line(folder: Path):
    every = {one.wnid: one.name for one in imagenet_classes()}
    assert len(superclasses(every)) == 396
    assert len(superclasses(every, merge_homonyms=True)) == 400  # as many as the authors' list has
    with pytest.raises(ValueError, match=r"--groups is not given\. Add --groups wordnet, or leave it out"):
        open_groups(None, open_pictures(folder, None), merge_homonyms=True)
    with pytest.raises(ValueError, match=r"--groups is mine\.json\. Add --groups wordnet"):
        open_groups("mine.json", open_pictures(folder, None), merge_homonyms=True)


def test_groups_named_like_a_class_of_the_users_have_another_name():
    geese = ["n01847000", "n01855672", "n02018207"]  # drake, goose, American coot
    assert list(superclasses(geese)) == ["aquatic bird", "anseriform bird"]
    found = superclasses(dict(zip(geese, ("duck", "aquatic bird", "coot"), strict=True)))
    assert list(found) == ["aquatic bird (bird)", "anseriform bird"]
    assert list(found.values()) == list(superclasses(geese).values())
