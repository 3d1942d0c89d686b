"""The store: what is asked for again is read, byte for byte, and anything that changes gets another key."""

from __future__ import annotations

import os
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import linexp as le
from linexp.forward.engines import Passes
from linexp.images import content_fingerprint
from linexp.models.base import PhotoTransform, VisionModel
from linexp.store import Keep, Key, Parts, UnknownContentError, code, prune_store, verify_store
from linexp.store.entry import read_manifest, shard_files
from linexp.store.upkeep import list_store
from tests.recording_twin import some_inputs, with_statistics

LAYER = "block"


class Net(nn.Module):
    """Has what a ``repr`` does not show: a plain attribute, a buffer, a list of numbers, and code."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale, self.numbers = scale, [1.0, 2.0]
        self.register_buffer("shift", torch.zeros(4))
        with torch.no_grad():
            self.first.weight.copy_(torch.arange(12.0).reshape(4, 3))
            self.first.bias.zero_()
        self.last = nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        return self.last(self.first(batch.flatten(1)[:, :3]) * self.scale + self.shift + self.numbers[0])


def conv_net() -> nn.Module:
    """A network with something to fold, and, unlike ``small_cnn``, without a counter in it, which would be content."""
    torch.manual_seed(0)
    parts = {
        "stem": nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
        "block": nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.BatchNorm2d(6), nn.ReLU()),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "head": nn.Linear(6, 4),
    }
    return with_statistics(nn.Sequential(OrderedDict(parts)))


class Squared(Net):
    def forward(self, batch: Tensor) -> Tensor:
        return self.last(self.first(batch.flatten(1)[:, :3]).square())


class Cubed(Net):
    def forward(self, batch: Tensor) -> Tensor:
        return self.last(self.first(batch.flatten(1)[:, :3]).pow(3))


FACTOR = 1.0


def keys(store: le.Store) -> set[str]:
    return {one.folder.name for one in list_store(store)}


def pictures(n_images: int = 6) -> le.ImageArray:
    return le.ImageArray(np.random.default_rng(0).integers(0, 256, (n_images, 4, 4, 3), dtype=np.uint8))


def unit(picture: Image.Image) -> Tensor:
    return le.to_unit_tensor(picture)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in each batch that goes through a model."""
    found: list[int] = []
    run = Passes.run

    def count(passes: Passes, batch: Tensor, *within: Any) -> dict[str, Tensor]:
        found.append(len(batch))
        return run(passes, batch, *within)

    monkeypatch.setattr(Passes, "run", count)
    return found


def put(store: le.Store, model: nn.Module | None = None, images: object = None, **options: object) -> Tensor:
    options = {"layer": "last", "preprocess": unit, "show_progress": False, **options}
    return le.record(model or Net(), images=pictures() if images is None else images, store=store, **options).values  # pyright: ignore[reportArgumentType]


@pytest.fixture
def store(tmp_path: Path) -> le.Store:
    return le.Store(tmp_path / "store")


@pytest.mark.parametrize("batch_size", [1, 3, 8, 600])
def test_first_and_cached_run_and_a_run_without_a_store_give_the_same_bytes(store: le.Store, batch_size: int):
    model, inputs = conv_net(), some_inputs(21)

    def run(store: le.Store | None) -> dict[str, bytes]:
        recorded = le.record_layers(
            model, [LAYER, "head"], inputs, batch_size=batch_size, store=store, show_progress=False
        )
        return {name: one.values.numpy().tobytes() for name, one in recorded.items()}

    first = run(store)
    assert first == run(store) == run(None)
    assert len(keys(store)) == 1


def test_the_second_run_does_no_work_and_both_are_told(tmp_path: Path, seen: list[int]):
    told: list[str] = []
    store = le.Store(tmp_path / "store", tell=told.append)
    inputs = torch.rand(20, 3)
    first = le.record(Net(), "last", inputs, store=store, show_progress=False)
    n_seen = sum(seen)
    assert n_seen >= 20
    again = le.record(Net(), "last", inputs, store=store, show_progress=False)
    assert sum(seen) == n_seen
    assert torch.equal(first.values, again.values)
    assert (again.layer, again.images) == (first.layer, first.images)
    where = f"from the store '{store.folder}'"
    assert told == [
        f"recorded activations: 0 of 20 images {where}",
        f"recorded activations: 20 of 20 images {where}",
    ]


def changed_weight() -> Net:
    model = Net()
    with torch.no_grad():
        model.first.weight[2, 1] += 1e-6 * 7
    return model


def changed_buffer() -> Net:
    model = Net()
    model.shift[3] = 1e-3
    return model


def changed_list() -> Net:
    model = Net()
    model.numbers[0] = 3.0
    return model


def hooked() -> Net:
    model = Net()
    model.first.register_forward_hook(lambda _, __, output: output * 2)
    return model


def changed_picture() -> le.ImageArray:
    values = pictures().values.copy()
    values[5, 3, 3, 2] ^= 1
    return le.ImageArray(values)


def scaled(factor: float) -> Callable[[Image.Image], Tensor]:
    return lambda picture: factor * le.to_unit_tensor(picture)


def by_global(picture: Image.Image) -> Tensor:
    return FACTOR * le.to_unit_tensor(picture)


MEAN = (0.5, 0.5, 0.5)
CHANGES: dict[str, dict[str, object]] = {
    "a weight": {"model": changed_weight},
    "a buffer": {"model": changed_buffer},
    "a plain attribute": {"model": lambda: Net(scale=2.0)},
    "an attribute inside a list": {"model": changed_list},
    "the code of forward": {"model": Squared},
    "other code of forward": {"model": Cubed},
    "a hook of the user's": {"model": hooked},
    "the number format": {
        "model": lambda: Net().to(torch.bfloat16),
        "preprocess": lambda p: unit(p).to(torch.bfloat16),
    },
    "the layer": {"layer": "first"},
    "the pooling": {"pool": "max"},
    "the batch size": {"batch_size": 2},
    "the engine": {"engine": "eager"},
    "one bit of an image": {"images": changed_picture},
    "the order of the images": {"images": lambda: le.ImageSubset(pictures(), [1, 0, 2, 3, 4, 5])},
    "the number of images": {"images": lambda: le.ImageSubset(pictures(), [0, 1, 2])},
    "the transform": {"preprocess": PhotoTransform(4, 4, MEAN, MEAN)},
    "a setting of the transform": {"preprocess": PhotoTransform(4, 5, MEAN, MEAN)},
    "what a function closes over": {"preprocess": scaled(2.0)},
    "what another closes over": {"preprocess": scaled(3.0)},
    "a function of another library": {"preprocess": le.to_unit_tensor},
}


def test_every_ingredient_changes_the_key(store: le.Store):
    put(store)
    assert len(keys(store)) == 1
    for number, (what, change) in enumerate(CHANGES.items()):
        made = {name: value() if name in ("model", "images") else value for name, value in change.items()}  # pyright: ignore[reportCallIssue]
        stored = put(store, **made)  # pyright: ignore[reportArgumentType]
        assert len(keys(store)) == number + 2, f"{what} changed, and the key did not"
        made = {name: value() if name in ("model", "images") else value for name, value in change.items()}  # pyright: ignore[reportCallIssue]
        assert torch.equal(put(store, **made), stored)  # pyright: ignore[reportArgumentType]
        assert len(keys(store)) == number + 2, f"{what} has another key the second time"


def test_what_lies_around_the_recording_changes_the_key(store: le.Store, monkeypatch: pytest.MonkeyPatch):
    put(store, preprocess=by_global)
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "FACTOR", 2.0)
        doubled = put(store, preprocess=by_global)
    assert len(keys(store)) == 2
    assert not torch.equal(doubled, put(store, preprocess=by_global))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "9.9")
        put(store, preprocess=by_global)
    assert len(keys(store)) == 3
    with monkeypatch.context() as patch:
        patch.setattr("linexp.store.key.RESULTS", code.RESULTS + 1)
        put(store, preprocess=by_global)
    assert len(keys(store)) == 4
    for n_keys, dtype in enumerate((torch.bfloat16, torch.float16), start=5):
        with torch.autocast("cpu", dtype):
            put(store, preprocess=by_global)
        assert len(keys(store)) == n_keys
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "allow_tf32", False)
        put(store, preprocess=by_global)
    assert len(keys(store)) == 7
    put(store, preprocess=by_global)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):  # its type does not count where it is off
        put(store, preprocess=by_global)
    assert len(keys(store)) == 7


def test_layers_recorded_together_are_one_key_in_any_order(store: le.Store):
    options = {"preprocess": unit, "show_progress": False, "store": store}
    one = le.record_layers(Net(), ["first", "last"], pictures(), **options)  # pyright: ignore[reportArgumentType]
    other = le.record_layers(Net(), ["last", "first"], pictures(), **options)  # pyright: ignore[reportArgumentType]
    assert list(other) == ["last", "first"]
    assert len(keys(store)) == 1
    assert all(torch.equal(one[name].values, other[name].values) for name in one)


def draw(folder: Path) -> Path:
    for row, values in enumerate(pictures().values):
        path = folder / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
    return folder


def test_names_and_times_are_no_part_of_the_key(store: le.Store, tmp_path: Path):
    first = le.ImageFolder(draw(tmp_path / "here"))
    put(store, VisionModel("one", Net(), unit), first)
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)
    for path in (tmp_path / "there").rglob("*.png"):
        os.utime(path, (1, 1))
    (tmp_path / "there" / "a" / "0.png").rename(tmp_path / "there" / "a" / "00.png")
    moved = le.ImageFolder(tmp_path / "there")
    recorded = le.record(VisionModel("two", Net(), unit), "last", moved, store=store, show_progress=False)
    assert len(keys(store)) == 1
    assert recorded.images == moved.fingerprint == first.fingerprint
    files = [tmp_path / "here" / name for name in first.files]
    put(store, Net(), le.ImageFiles(files))
    assert len(keys(store)) == 1


def test_a_file_changed_behind_its_time_and_size_is_another_image(store: le.Store, tmp_path: Path):
    for shade in (10, 200):
        path = tmp_path / "a.bmp"
        Image.new("RGB", (4, 4), (shade, 0, 0)).save(path)
        os.utime(path, (1, 1))
        values = put(store, Net(), [path])
        assert torch.equal(values, put(store, Net(), [path]))
    assert len(keys(store)) == 2


class OwnImages:
    """A collection of the user's, which has nothing but the contract and one name for all."""

    labels, label_names, fingerprint = None, (), "always the same"

    def __init__(self, values: Sequence[int]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.new("RGB", (4, 4), (self.values[index], 0, 0))

    def name(self, index: int) -> str:
        return f"mine {index}"


def test_a_collection_of_the_users_is_known_by_its_pixels(store: le.Store):
    for values in ([1, 2, 3], [1, 2, 4], [2, 1, 3], [1, 2, 3]):
        put(store, Net(), OwnImages(values))
    assert len(keys(store)) == 3


def test_what_nobody_can_know_is_refused(store: le.Store):
    model = Net()
    model.source = (number for number in range(3))  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UnknownContentError, match=r"model\.source is a generator, of which nobody can say .*without a"):
        put(store, model)
    with pytest.raises(ValueError, match=r"preprocess\.generator is a generator"):
        put(store, preprocess=Holding(number for number in range(3)))
    assert not keys(store)


class Holding:
    def __init__(self, generator: object) -> None:
        self.generator = generator

    def __call__(self, picture: Image.Image) -> Tensor:
        return unit(picture)


def shards_of(store: le.Store) -> list[Path]:
    (entry,) = list_store(store)
    return [path for _, paths in sorted(shard_files(entry.folder).items()) for path in paths]


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[:-4])
    elif how == "a bit":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["cut", "a bit", "empty"])
def test_a_damaged_shard_is_said_and_recorded_again(store: le.Store, how: str):
    model, inputs = conv_net(), some_inputs(11)
    first = le.record(model, LAYER, inputs, batch_size=600, store=store, show_progress=False).values
    (path,) = shards_of(store)
    damage(path, how)
    with pytest.warns(
        UserWarning, match=r"1 files of .* are damaged \(00000: its checksum differs\) and are made anew"
    ):
        again = le.record(model, LAYER, inputs, batch_size=600, store=store, show_progress=False).values
    assert torch.equal(first, again)
    assert shards_of(store) == [path]  # its name is its content
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(
            le.record(model, LAYER, inputs, batch_size=600, store=store, show_progress=False).values, first
        )


def test_only_the_damaged_shard_is_recorded_again(store: le.Store, seen: list[int]):
    inputs = torch.rand(500, 3)
    first = le.record(Net(), "last", inputs, store=store, show_progress=False).values
    paths = shards_of(store)
    assert [path.name[:5] for path in paths] == ["00000", "00001", "00002", "00003"]
    contents = [path.read_bytes() for path in paths]
    damage(paths[1], "cut")
    damage(paths[3], "cut")
    seen.clear()
    with pytest.warns(UserWarning, match="2 files of"):
        again = le.record(Net(), "last", inputs, store=store, show_progress=False).values
    assert torch.equal(first, again)
    assert [path.read_bytes() for path in shards_of(store)] == contents
    n_tried = 8 + 3 * 4  # the first batch, to find the fastest way
    assert 128 + 116 <= sum(seen) <= 128 + 116 + n_tried


def test_a_shard_of_another_entry_is_not_taken(store: le.Store, tmp_path: Path):
    model, others = conv_net(), some_inputs(11) + 1
    other = le.Store(tmp_path / "other")
    le.record(model, LAYER, others, store=other, show_progress=False)
    first = le.record(model, LAYER, some_inputs(11), store=store, show_progress=False).values
    (path,) = shards_of(store)
    (wrong,) = shards_of(other)
    path.unlink()
    shutil.copy(wrong, path.parent)  # undamaged, but of other images
    with pytest.warns(UserWarning, match="it holds other rows or belongs to another entry"):
        again = le.record(model, LAYER, some_inputs(11), store=store, show_progress=False).values
    assert torch.equal(first, again)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"identity": {"kind": "activations"}}', "\xff"])
def test_a_damaged_manifest_is_said_and_written_again(store: le.Store, text: str):
    first = put(store)
    (entry,) = list_store(store)
    (entry.folder / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.warns(UserWarning, match=r"1 files of .*manifest\.json.* made anew"):
        assert torch.equal(put(store), first)
    assert read_manifest(entry.folder)["identity"]["rows"] == 6


def test_what_a_killed_process_began_to_write_is_removed(store: le.Store):
    put(store)
    (entry,) = list_store(store)
    draft = entry.folder / ".00000-abc.safetensors.17.part"
    draft.write_bytes(b"half")
    put(store)
    assert not draft.exists()


def test_an_empty_shard_and_a_batch_too_long_are_mistakes(store: le.Store):
    key = Key("activations", {}, 10, 5)
    with pytest.raises(RuntimeError, match="Nothing was computed for shard 0"):
        store.fill(key, ["a"], lambda parts, keep: None, what="nothing")
    with pytest.raises(RuntimeError, match="A batch reaches over the end of shard 0"):
        store.fill(key, ["a"], lambda parts, keep: keep({"a": torch.zeros(6, 1)}), what="too much")


def test_a_kind_is_any_word_that_can_be_a_folder():
    for kind in ("moments", "sae-codes", "impact_2"):
        assert Key(kind, {}, 1, 1).name.startswith(f"{kind}-")
    for kind in ("", "Moments", "a b", "../a", "a--b", "con.txt"):
        with pytest.raises(ValueError, match=r"^The kind of a stored result is '.*'\. Use small letters, digits and"):
            Key(kind, {}, 1, 1)


def ones(parts: Parts, keep: Keep) -> None:
    for rows in parts:
        keep({"a": torch.ones(len(rows), 2)})


def test_an_entry_of_a_kind_unknown_today_is_looked_after(store: le.Store):
    key = Key("sae-codes", {"what": "numbers"}, 10, 4, {"model": "mine", "of": ["codes"]})
    store.fill(key, ["a"], ones, what="x")
    (entry,) = list_store(store)
    assert (entry.kind, entry.of, entry.n_complete, entry.n_rows) == ("sae-codes", "mine: codes", 10, 10)
    assert verify_store(store) == (4, {})
    damage(shards_of(store)[1], "cut")
    assert list(verify_store(store)[1].values()) == ["00001: its checksum differs"]
    assert [one.folder for one in prune_store(store, max_size=0)] == [entry.folder]
    assert list_store(store) == []


def test_the_model_comes_back_with_a_store_too(store: le.Store):
    model = conv_net().train()
    le.record(model, LAYER, some_inputs(5), store=store, show_progress=False)
    assert all(module.training for module in model.modules())


def test_a_shape_that_changes_is_said_after_a_restart_too(store: le.Store):
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Identity()

        def forward(self, batch: Tensor) -> Tensor:
            return self.last(batch[:, : 1 + int(batch[0, 0] > 0.5)])

    inputs = torch.zeros(256, 3)
    inputs[160:] = 1
    for _ in range(2):  # the first 128 are stored by then
        with pytest.raises(ValueError, match="gave 1 neurons on the first images and 2 on image 160"):
            le.record(Growing(), "last", inputs, store=store, show_progress=False)
    assert [path.name[:5] for path in shards_of(store)] == ["00000"]


def test_a_part_of_a_collection_is_known_like_the_whole():
    whole = OwnImages([5, 6, 7, 8])
    assert content_fingerprint(le.ImageSubset(whole, [2, 0])) == content_fingerprint(OwnImages([7, 5]))
    some = pictures()
    assert content_fingerprint(le.ImageSubset(some, [2, 0])) == content_fingerprint(le.ImageArray(some.values[[2, 0]]))
