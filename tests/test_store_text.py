"""Embeddings in the store: words, templates, encoders and images each have a part in the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.concepts.encoders.huggingface import HuggingFaceEncoder, load_huggingface
from linexp.store.upkeep import list_store
from tests.colour_encoder import ColourEncoder
from tests.test_conse import colour_pictures, of_colours
from tests.test_encoders import save

WORDS = ("dog", "red", "the dog", "dot", "rod")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    save("clip", folder)
    return folder


@pytest.fixture
def encoder(folder: Path) -> HuggingFaceEncoder:
    return load_huggingface(folder)


def pictures(n_images: int = 20) -> le.ImageArray:
    return le.ImageArray(np.random.default_rng(0).integers(0, 256, (n_images, 40, 36, 3), dtype=np.uint8))


def describe(encoder: Any, store: le.Store | None, words: tuple[str, ...] = WORDS, **options: Any) -> bytes:
    """Return the bytes of the concept matrix."""
    images = options.pop("images", None) or pictures()
    source = le.TextConcepts(words, encoder, le.Calibration(10.0, -0.1, encoder=encoder.name), **options)
    return source.describe(images, store=store).values.numpy().tobytes()


def n_keys(store: le.Store) -> int:
    return len(list_store(store))


def test_first_and_cached_run_and_one_without_a_store_are_the_same(tmp_path: Path, encoder: HuggingFaceEncoder):
    told: list[str] = []
    store = le.Store(tmp_path / "store", tell=told.append)
    first = describe(encoder, store)
    assert first == describe(encoder, store) == describe(encoder, None)
    where = f"from the store '{store.folder}'"
    assert told == [
        f"texts embedded by {encoder.name}: 0 of 5 texts {where}",
        f"images embedded by {encoder.name}: 0 of 20 images {where}",
        f"texts embedded by {encoder.name}: 5 of 5 texts {where}",
        f"images embedded by {encoder.name}: 20 of 20 images {where}",
    ]
    assert sorted(one.of for one in list_store(store)) == [f"{encoder.name}: images", f"{encoder.name}: texts"]


def changed_weight(encoder: HuggingFaceEncoder) -> HuggingFaceEncoder:
    with torch.no_grad():
        encoder.model.visual_projection.weight[0, 0] += 0.5
    return encoder


def changed_size(encoder: HuggingFaceEncoder) -> HuggingFaceEncoder:
    encoder.preprocess.processor.image_mean = [0.4, 0.5, 0.5]
    return encoder


# What changes → how many of the two keys (of texts, of images) do.
CHANGES: dict[str, tuple[int, Callable[[HuggingFaceEncoder], dict[str, Any]]]] = {
    "a word": (1, lambda e: {"encoder": e, "words": (*WORDS[:-1], "top")}),
    "the order of the words": (1, lambda e: {"encoder": e, "words": WORDS[::-1]}),
    "the template": (1, lambda e: {"encoder": e, "templates": ("the {}",)}),
    "an image": (1, lambda e: {"encoder": e, "images": le.ImageSubset(pictures(), range(1, 20))}),
    "a weight": (2, lambda e: {"encoder": changed_weight(e)}),
    "the preprocessing": (1, lambda e: {"encoder": changed_size(e)}),
    "the batch size": (2, lambda e: {"encoder": replace(e, batch_size=3)}),
    "the encoder's name": (0, lambda e: {"encoder": replace(e, name="other")}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_ingredient_changes_the_key(what: str, tmp_path: Path, folder: Path, encoder: HuggingFaceEncoder):
    store = le.Store(tmp_path / "store")
    describe(encoder, store)
    n_new, change = CHANGES[what]
    first = describe(store=store, **change(load_huggingface(folder)))
    assert n_keys(store) == 2 + n_new
    assert describe(store=store, **change(load_huggingface(folder))) == first
    assert n_keys(store) == 2 + n_new


def test_two_templates_are_two_keys_of_texts(tmp_path: Path, encoder: HuggingFaceEncoder):
    store = le.Store(tmp_path / "store")
    first = describe(encoder, store, templates=("{}", "the {}"))
    assert n_keys(store) == 3
    assert (
        first
        == describe(encoder, store, templates=("{}", "the {}"))
        == describe(encoder, None, templates=("{}", "the {}"))
    )


def test_more_images_than_a_shard(tmp_path: Path, encoder: HuggingFaceEncoder):
    store, images = le.Store(tmp_path / "store"), pictures(150)
    first = encoder.encode_images(images, store=store, show_progress=False)
    (entry,) = list_store(store)
    shards = sorted(entry.folder.glob("*.safetensors"))
    assert [path.name[:5] for path in shards] == ["00000", "00001"]
    shards[0].unlink()
    assert torch.equal(encoder.encode_images(images, store=store, show_progress=False), first)
    assert torch.equal(encoder.encode_images(images, show_progress=False), first)


def test_conse_is_recorded_into_the_store(tmp_path: Path):
    store, images = le.Store(tmp_path / "store"), colour_pictures()
    first = of_colours().encode_images(images, store=store, show_progress=False)
    assert n_keys(store) == 1
    assert torch.equal(of_colours().encode_images(images, store=store, show_progress=False), first)
    assert torch.equal(of_colours().encode_images(images, show_progress=False), first)
    assert n_keys(store) == 1
    for number, settings in enumerate(({"temperature": 3.0}, {"n_classes": 2}, {"template": "a {}"})):
        of_colours(**settings).encode_images(images, store=store, show_progress=False)
        assert n_keys(store) == 2 + number


def test_an_encoder_that_cannot_store_is_asked_as_ever(tmp_path: Path):
    store = le.Store(tmp_path / "store")
    images = le.ImageArray(np.full((3, 4, 4, 3), 200, np.uint8))
    options = {"words": ("red", "green"), "images": images}
    assert describe(ColourEncoder(), store, **options) == describe(ColourEncoder(), None, **options)
    assert n_keys(store) == 0


def test_an_unreadable_picture_is_named(tmp_path: Path, encoder: HuggingFaceEncoder):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths[:2]:
        Image.new("RGB", (40, 40)).save(path)
    store = le.Store(tmp_path / "store")
    with pytest.raises(OSError, match=r"^Cannot read the image '.*2\.png' \(No such file or directory\)"):
        encoder.encode_images(paths, store=store)
