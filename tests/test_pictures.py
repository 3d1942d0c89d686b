"""Pictures of a result are found again by their bytes: copies are the same, a changed one is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp import cli
from linexp.images import content_fingerprint, contents_of
from linexp.results.digests import recall_digests
from linexp.results.folder import Run, load_run, save_explanations, save_run
from linexp.results.pictures import reopen_pictures
from tests.colour_world import draw_pictures

ROW = 5


def make_run(folder: Path, rows: list[int] | None = None) -> Run:
    whole = le.ImageFolder(folder)
    images = whole if rows is None else le.images.ImageSubset(whole, rows)
    n_images = len(images)
    values = torch.from_numpy(np.random.default_rng(0).random((n_images, 2)))
    activations = le.ActivationMatrix(values, images=images.fingerprint)
    concepts = le.ConceptMatrix(values > 0.5, ["one", "two"], images.fingerprint)
    names = tuple(images.name(row) for row in range(n_images))
    contents = tuple(content.hex() for content in contents_of(images))
    return Run(
        activations,
        concepts,
        le.Split.random(n_images),
        image_names=names,
        settings={"images": str(folder)},
        contents=contents,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "here", 4)
    return tmp_path / "here"


@pytest.fixture
def run(here: Path, tmp_path: Path) -> Run:
    """A run that was saved and read."""
    save_run(tmp_path / "out", make_run(here))
    return load_run(tmp_path / "out")


def change_one(folder: Path, name: str = "blue/01.png") -> None:
    """Put another picture of the same size and time of change in the place of one."""
    path = folder / name
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def unzip(here: Path, there: Path) -> None:
    archive = shutil.make_archive(str(there.with_name("archive")), "zip", here)
    with zipfile.ZipFile(archive) as file:
        file.extractall(there)  # every file has another time now


def copy(here: Path, there: Path) -> None:
    shutil.copytree(here, there, copy_function=shutil.copyfile)


def touch(here: Path, there: Path) -> None:
    here.rename(there)
    os.utime(there / "blue" / "01.png", (1, 1))


@pytest.mark.parametrize("move", [copy, unzip, touch])
def test_a_copy_is_the_same(move, here: Path, run: Run, tmp_path: Path):
    move(here, tmp_path / "there")
    images = reopen_pictures(run, tmp_path / "there")
    assert images.fingerprint == run.activations.images
    assert images.name(ROW) == str(tmp_path / "there" / Path(run.image_names[ROW]).relative_to(here))


@pytest.mark.parametrize("with_store", [False, True])
def test_a_changed_picture_of_the_same_size_and_time_is_named(here: Path, run: Run, tmp_path: Path, with_store: bool):
    store = tmp_path / "store" if with_store else None
    reopen_pictures(run, None, store)
    change_one(here)
    with pytest.raises(le.DifferentImagesError) as told:
        reopen_pictures(run, None, store)
    assert str(told.value) == (
        f"The picture 'blue/01.png' in '{here}' is not the one that was recorded. "
        "Say with --images where those are, or make the result anew with linexp explain."
    )
    change_one(here, "red/00.png")
    with pytest.raises(
        le.DifferentImagesError, match=r"'blue/01\.png' in '.*' is not .* recorded \(2 of 20 are not\)\."
    ):
        reopen_pictures(run, None, store)


def test_a_part_of_a_folder_is_found_again_among_more_pictures(here: Path, tmp_path: Path):
    run = make_run(here, [4, 0, *range(6, 20)])
    Image.new("RGB", (8, 8)).save(here / "black" / "more.png")
    change_one(here)  # one that was left out
    images = reopen_pictures(run, None)
    assert [images.name(row) for row in range(len(images))] == list(run.image_names)


def test_a_report_shows_a_copy_and_says_what_changed(here: Path, run: Run, tmp_path: Path):
    save_explanations(
        tmp_path / "out", le.LinearExplainer(n_groups=0).explain(run.activations, run.concepts, run.split)
    )
    copy(here, tmp_path / "there")
    shutil.rmtree(here)
    options = {"out": tmp_path / "page", "images": tmp_path / "there", "store": tmp_path / "store"}
    cli.report([tmp_path / "out"], **options)
    assert list((tmp_path / "page").rglob("*.webp")) or list((tmp_path / "page").rglob("*.jpg"))
    change_one(tmp_path / "there")
    with pytest.raises(le.DifferentImagesError, match=r"The picture 'blue/01\.png'"):
        cli.report([tmp_path / "out"], **options)


# --- results of 0.1.0 ---


def older(run: Run, folder: Path, tmp_path: Path) -> Run:
    """Return the run as linexp 0.1.0 knew it."""
    digest = hashlib.sha256(b"files\n")
    for name in le.ImageFolder(folder).files:
        status = (folder / name).stat()
        digest.update(name.encode() + f"\0{status.st_size} {status.st_mtime_ns}\n".encode())
    one, other = run.activations, run.concepts
    activations = le.ActivationMatrix(one.values, images=digest.hexdigest())
    concepts = le.ConceptMatrix(other.values, other.names, digest.hexdigest())
    save_run(tmp_path / "older", replace(run, activations=activations, concepts=concepts, contents=()))
    assert "sha256" not in (tmp_path / "older" / "images.csv").read_text()
    return load_run(tmp_path / "older")


def test_of_an_older_result_it_is_said_that_content_is_not_proved(here: Path, run: Run, tmp_path: Path):
    before = older(run, here, tmp_path)
    with pytest.warns(UserWarning, match=r"made by linexp 0\.1\.0, .* have the same content is not proved\."):
        images = reopen_pictures(before, None)
    assert images.fingerprint == before.activations.images
    assert content_fingerprint(images) == run.activations.images
    assert images[ROW].tobytes() == le.ImageFolder(here)[ROW].tobytes()
    touch(here, tmp_path / "there")
    with pytest.raises(le.DifferentImagesError, match=r"by names, sizes and times; linexp 0\.1\.0 kept nothing else"):
        reopen_pictures(before, tmp_path / "there")


# --- the cache ---


def age(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files old enough for their looks to count."""
    now = max(path.stat().st_ctime_ns for path in folder.rglob("*")) + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: now)


def known(folder: Path, store: Path) -> int:
    images = le.ImageFolder(folder)
    recall_digests(images, store)
    return sum(images.recall(row) is not None for row in range(len(images)))


def test_what_was_read_once_is_not_read_again(here: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    age(here, monkeypatch)
    reopen_pictures(run, None, tmp_path / "store")
    assert known(here, tmp_path / "store") == len(run.image_names) == 20
    monkeypatch.setattr("linexp.images.file_contents.digest_file", None)  # reading would fail
    reopen_pictures(run, None, tmp_path / "store")


def test_without_a_store_nothing_is_kept(here: Path, run: Run, user_cache: Path, monkeypatch: pytest.MonkeyPatch):
    age(here, monkeypatch)
    reopen_pictures(run, None)
    assert list(user_cache.iterdir()) == []


def test_the_cache_is_never_the_truth(here: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    age(here, monkeypatch)
    reopen_pictures(run, None, tmp_path / "store")
    time.sleep(0.05)  # a tick of the file system's clock
    change_one(here)
    assert known(here, tmp_path / "store") == 19
    with pytest.raises(le.DifferentImagesError, match=r"The picture 'blue/01\.png'"):
        reopen_pictures(run, None, tmp_path / "store")


@pytest.mark.parametrize("damage", ["one byte", "cut", "empty", "lies", "a folder"])
def test_a_damaged_cache_is_ignored(damage: str, here: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    age(here, monkeypatch)
    reopen_pictures(run, None, tmp_path / "store")
    (path,) = (tmp_path / "store").rglob("*.json")
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "lies":
        body = json.dumps({"format": 1, "files": {"blue/01.png": [1, 2]}}).encode()
        path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    else:
        kept = {"one byte": content[:200] + b"0" + content[201:], "cut": content[:-9], "empty": b""}[damage]
        assert kept != content
        path.write_bytes(kept)
    assert known(here, tmp_path / "store") == 0
    assert reopen_pictures(run, None, tmp_path / "store").fingerprint == run.activations.images
