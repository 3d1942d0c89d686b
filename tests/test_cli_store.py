"""The store on the command line: used unless told otherwise, looked after by ``linexp store``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.colour_world import make_world
from tests.command_line import Run, command_line

OWN = """

def steady():
    torch.manual_seed(0)  # the layer that is not used has weights too, and they are content
    return Net(), to_unit_tensor

def interrupted():
    net = Net()
    net.rest[0] = Interrupting()
    return net, to_unit_tensor

class Interrupting(nn.Module):
    def forward(self, features):
        if torch.is_grad_enabled() or len(features) == 4:  # the last of 60 images in batches of 8
            raise KeyboardInterrupt
        return features

def unknown():
    net = Net()
    net.numbers = (number for number in range(3))
    return net, to_unit_tensor
"""
EXPLAIN = ("explain", "--layer", "stem", "--images", "pictures", "--seed", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    with (folder / "mymodels.py").open("a") as file:
        file.write(OWN)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_second_run_reads_and_gives_the_same_files(linexp: Run, tmp_path: Path, user_cache: Path):
    outs = [tmp_path / name for name in ("first", "second", "without", "elsewhere")]
    own = ("--store", tmp_path / "mine")
    options = [(), (), ("--no-store",), own]
    ended = [
        linexp(*EXPLAIN, "--model", "mymodels:steady", "--out", out, *option)
        for out, option in zip(outs, options, strict=True)
    ]
    assert [one.code for one in ended] == [0, 0, 0, 0], ended
    cache = user_cache / "linexp" / "store"
    lines = [[line for line in one.out.splitlines() if "store" in line] for one in ended]
    assert lines == [
        [f"recorded activations: 0 of 60 images from the store '{cache}'"],
        [f"recorded activations: 60 of 60 images from the store '{cache}'"],
        [],
        [f"recorded activations: 0 of 60 images from the store '{tmp_path / 'mine'}'"],
    ]
    assert all(files_of(out) == files_of(outs[0]) for out in outs)
    assert len(list(cache.glob("activations-*"))) == len(list((tmp_path / "mine").glob("activations-*"))) == 1


def test_contradictions_and_unusable_folders_are_said(linexp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start = (*EXPLAIN, "--model", "mymodels:steady", "--out", tmp_path / "out")
    ended = linexp(*start, "--store", "there", "--no-store")
    assert ended.code == 1
    assert ended.err == "Error: --no-store and --store 'there' contradict each other. Leave one out.\n"
    (tmp_path / "file").write_text("")
    ended = linexp(*start, "--store", tmp_path / "file")
    assert ended.code == 1
    assert ended.err.startswith(
        f"Error: Cannot write in the folder '{tmp_path / 'file'}' (File exists). Choose another"
    )
    for command in ("list", "verify", "prune"):
        ended = linexp(
            "store", command, "--store", tmp_path / "file", *(("--max-size", 0) if command == "prune" else ())
        )
        assert ended.err == f"Error: The store '{tmp_path / 'file'}' is a file. Give the folder --store was given.\n"
    # A home that cannot be written is no reason to refuse what worked without a store.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    ended = linexp(*start)
    assert ended.code == 0
    assert "Warning: Nothing is stored: Cannot write in the folder" in ended.err


def test_what_cannot_be_known_is_not_stored_but_done(linexp: Run, tmp_path: Path):
    ended = linexp(*EXPLAIN, "--model", "mymodels:unknown", "--out", tmp_path / "out", "--store", tmp_path / "store")
    assert ended.code == 0
    assert "Warning: Nothing of this is stored: model.numbers is a generator, of which nobody can say" in ended.err
    assert not list((tmp_path / "store").glob("activations-*"))


def test_an_interruption_says_how_to_go_on(linexp: Run, tmp_path: Path):
    store = tmp_path / "store"
    ended = linexp(*EXPLAIN[:1], "--layer", "head", *EXPLAIN[3:], "--model", "mymodels:interrupted", "--out",
                   tmp_path / "out", "--store", store)  # fmt: skip
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        f"Interrupted. 0 of 60 images are in the store '{store}' (recorded activations); run the same again to go on "
        "from there."
    )


def test_list_verify_and_prune(linexp: Run, tmp_path: Path):
    store = tmp_path / "store"
    assert linexp("store", "list", "--store", store).out == f"0 entries (0 B) in the store '{store}'\n"
    for layer in ("stem", "head"):
        made = linexp("explain", "--layer", layer, *EXPLAIN[3:], "--model", "mymodels:steady", "--out",
                      tmp_path / layer, "--store", store)  # fmt: skip
        assert made.code == 0, made.err
    entries = {
        json.loads((one / "manifest.json").read_text())["about"]["of"][0]: one for one in store.glob("activations-*")
    }
    os.utime(entries["stem"], (1, 1))
    listed = linexp("store", "list", "--store", store).out.splitlines()
    assert [line.split("│")[2].strip() for line in listed if "activations" in line] == [
        "mymodels:steady: head",
        "mymodels:steady: stem",
    ]
    assert all("60 of 60" in line for line in listed if "activations" in line)
    assert listed[-1].startswith("2 entries (")
    theirs = [entries["head"] / name for name in ("user-0123.claim", "00000.claim")]
    for claim, since in zip(theirs, (1e9, 2e9), strict=True):
        claim.write_text(json.dumps(("node7", 4242, since)))
    listed = linexp("store", "list", "--store", store).out.splitlines()
    told = [line.split("│")[7].strip() for line in listed if "activations" in line]
    moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(1e9))
    assert told == [f"1 shard claimed by node7:4242 since {moment}", ""]
    for claim in theirs:
        claim.unlink()

    assert linexp("store", "verify", "--store", store).out == f"4 files in the store '{store}', all sound\n"
    (shard,) = entries["head"].glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])
    ended = linexp("store", "verify", "--store", store)
    assert ended.code == 1
    assert ended.err.startswith(
        f"Error: 1 of 4 files in the store '{store}' are damaged: '{shard}' (00000: its checksum"
    )

    for wrong, said in ((("--older-than", "soon"), "The age is 'soon'"), (("--max-size", "big"), "The size is 'big'")):
        assert linexp("store", "prune", "--store", store, *wrong).err.startswith(f"Error: {said}. Give ")
    assert linexp("store", "prune", "--store", store).err.startswith(
        "Error: Nothing says what can go. Give --older-than"
    )
    (store / "notes.txt").write_text("mine")
    pruned = linexp("store", "prune", "--store", store, "--older-than", "30d").out
    assert pruned.startswith("removed 1 entry (")
    assert not entries["stem"].exists()
    assert entries["head"].exists()
    assert linexp("store", "prune", "--store", store, "--max-size", "1GB").out.startswith(
        "removed 0 entries (0 B); 1 ent"
    )
    assert linexp("store", "prune", "--store", store, "--max-size", "1kB").out.startswith("removed 1 entry (")
    assert {path.name for path in store.iterdir()} - {"pictures"} == {"notes.txt"}
