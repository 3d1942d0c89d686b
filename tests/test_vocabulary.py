"""Words from built-in lists and files."""

from __future__ import annotations

import doctest
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from linexp.concepts.vocabulary import read as vocabulary
from linexp.concepts.vocabulary.read import Vocabulary, read_broden, read_vocabulary
from linexp.concepts.vocabulary.wordnet import superclasses


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_a_file_keeps_its_order_and_says_what_it_dropped(folder: Path):
    write(folder / "my.txt", "\ufeffsnow\r\n  ski slope \r\n\r\n \r\ndog\r\nsnow\r\n")
    found = read_vocabulary("my.txt")
    assert found.words == ("snow", "ski slope", "dog")
    assert found.dropped == {"empty": ("", " "), "duplicate": ("snow",)}
    assert str(found) == "3 words (dropped: empty 2, duplicate 1)"


def test_every_word_is_a_word(folder: Path):
    write(folder / "my.txt", "null\nnan\nNA\nNone\n2\n007\ntrue\n# 1\n\u00e9p\u00e9e\nice\u2028cream")
    words = ("null", "nan", "NA", "None", "2", "007", "true", "# 1", "\u00e9p\u00e9e", "ice\u2028cream")
    assert read_vocabulary("my.txt").words == words


def test_a_union_is_in_the_order_of_its_parts(folder: Path):
    write(folder / "my.txt", "pet\nsnow\n")
    given: dict[str, Any] = {"labels": ["tabby", "beagle"], "superclasses": {"pet": ["tabby", "beagle"]}}
    found = read_vocabulary("labels+superclasses+my.txt", **given)
    assert found.words == ("tabby", "beagle", "pet", "snow")
    assert found.dropped == {"empty": (), "duplicate": ("pet",)}
    assert read_vocabulary("my.txt + labels", **given).words == ("pet", "snow", "tabby", "beagle")
    assert read_vocabulary(["labels", Path("my.txt")], **given).words == ("tabby", "beagle", "pet", "snow")


def test_superclasses_straight_from_wordnet():
    labels = ["tabby", "Egyptian cat", "beagle"]
    found = read_vocabulary("labels+superclasses", labels=labels, superclasses=superclasses(labels))
    assert found.words == (*labels, "carnivore", "domestic cat")


def test_a_plus_in_the_name_of_a_file(folder: Path):
    path = write(folder / "a+b.txt", "cat\ndog\n")
    for spec in ("a+b.txt", path, ["a+b.txt"]):
        assert read_vocabulary(spec).words == ("cat", "dog")


def test_a_file_called_like_a_built_in_list(folder: Path):
    write(folder / "nouns", "cat\ndog\n")
    assert read_vocabulary("./nouns").words == ("cat", "dog")
    assert len(read_vocabulary("nouns").words) == 7000


def test_nouns():
    words = read_vocabulary("nouns").words
    assert len(words) == len(set(words)) == 7000
    assert words[:6] == ("person", "man", "people", "body", "water", "family")
    assert read_vocabulary("nouns:3").words == ("person", "man", "people")
    assert len(read_vocabulary("nouns:9000").words) == 9000
    assert {"dog", "snow", "sky", "table", "red", "beach", "forest", "crowd"} <= set(words[:1000])
    assert not {"idea", "truth", "abolishment", "other", "have", "can"} & set(words)


def test_the_file_of_nouns_carries_its_licence():
    text = resources.files("linexp.concepts.vocabulary").joinpath("nouns.txt").read_text(encoding="utf-8")
    assert "# WordNet 3.0 Copyright 2006 by Princeton University." in text
    assert "# Permission to use, copy, modify and distribute" in text
    words = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(set(words)) == len(words) == 9000
    assert all(word.isalpha() and word.islower() and word.isascii() for word in words)


def test_imagenet_and_branches_of_wordnet():
    assert len(read_vocabulary("imagenet").words) == 1000
    found = read_vocabulary("wordnet:shark").words
    assert found == ("shark", "great white shark", "tiger shark", "hammerhead")


def test_case_is_unified_only_when_asked(folder: Path):
    write(folder / "my.txt", "Cardigan\ncat\ncardigan\nCat\n")
    assert read_vocabulary("my.txt").words == ("Cardigan", "cat", "cardigan", "Cat")
    found = read_vocabulary("my.txt", unify_case=True)
    assert found.words == ("Cardigan", "cat")
    assert found.dropped["case"] == ("cardigan", "Cat")
    assert str(found) == "2 words (dropped: case 2)"


def test_broden(folder: Path):
    header = "number,name,category,frequency,coverage,syns\n"
    rows = (
        '1,red-c,color(2),2,0.1,\n2,bus_station-s,scene(1),1,0.1,\n3,dog,object(3),3,0.2,"dog;hound"\n4,t-shirt,,,,\n'
    )
    path = write(folder / "label.csv", "\ufeff" + header + rows)
    assert read_broden(path) == ["red color", "bus station", "dog", "t-shirt"]
    assert read_vocabulary("broden:label.csv+labels", labels=["dog", "cat"]).words == (
        "red color",
        "bus station",
        "dog",
        "t-shirt",
        "cat",
    )
    with pytest.raises(ValueError, match=r"'my\.csv' has no column 'name'\. Give the file label\.csv"):
        read_broden(write(folder / "my.csv", "cat\ndog\n").relative_to(folder))


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        (
            "nuons",
            FileNotFoundError,
            r"no built-in list and no file 'nuons'\. Did you mean 'nouns'\? Built in are labels",
        ),
        ("nouns+wrods.txt", FileNotFoundError, r"no file 'wrods\.txt'\. Did you mean 'words\.txt'\?"),
        ("missing/words.txt", FileNotFoundError, r"no file 'missing/words\.txt'\. Built in are"),
        ("labels", ValueError, r"names 'labels', but there are none\. Pass labels=\[…\], or leave it out"),
        ("nouns+superclasses", ValueError, r"names 'superclasses', but there are none\. Pass superclasses="),
        ("nouns++words.txt", ValueError, r"'nouns\+\+words\.txt' has an empty part"),
        ("", ValueError, "'' has an empty part"),
        ([], ValueError, r"The vocabulary \[\] has no word"),
        ("nouns:many", ValueError, r"'nouns:many' has no number of nouns\. Write 'nouns:2000'"),
        ("nouns:0", ValueError, r"The number of nouns is 0\. It must be at least 1"),
        ("nouns:9001", ValueError, r"There are 9000 nouns, not 9001\. Write 'nouns:9000'"),
        ("wordnet:anmal", ValueError, "Did you mean 'animal'"),
        ("empty.txt", ValueError, r"The vocabulary 'empty\.txt' has no word\. Write one word or phrase a line"),
        ("latin.txt", ValueError, r"'latin\.txt' is not UTF-8 text \(invalid .*\)\. Save it as UTF-8"),
        ("folder", IsADirectoryError, r"'folder' is a folder\. Give a file of words"),
    ],
)
def test_what_cannot_be_read(folder: Path, spec: str, error: type[Exception], said: str):
    write(folder / "words.txt", "cat\ndog\n")
    write(folder / "empty.txt", "\n \r\n")
    (folder / "latin.txt").write_bytes("\u00e9p\u00e9e\n".encode("latin-1"))
    (folder / "folder").mkdir()
    with pytest.raises(error, match=said):
        read_vocabulary(spec)


def test_labels_that_are_one_text():
    with pytest.raises(ValueError, match=r"labels is the text 'cat'\. Give a list of names"):
        read_vocabulary("labels", labels="cat")


def test_one_word_alone_is_warned_of():
    with pytest.warns(UserWarning, match=r"'labels' has one word \('dog'\), so no explanation can name another\. Add"):
        assert read_vocabulary("labels", labels=["dog", "dog"]).words == ("dog",)


def test_what_is_printed():
    assert str(Vocabulary(("cat", "dog"))) == "2 words (dropped: none)"


def test_the_examples_run():
    assert doctest.testmod(vocabulary).failed == 0
