"""Killed, crowded, full, vanished: the store loses nothing that was complete, and says in a sentence what is wrong."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from itertools import islice
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.store import Keep, Key, Parts, list_store, verify_store
from linexp.store.entry import DamagedError, read_shard, write_shard
from tests.store_worker import N_IMAGES, SHARD, run_aside

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and limits of a file's size are POSIX")
TRIES = 8 + 4 * 4  # the images on which the fastest way is looked for


# Each worker is forked from a process that has imported what it needs, which takes longer than the work.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.store_worker"])


class Started(NamedTuple):
    process: ForkServerProcess
    said: tuple[Path, Path]  # on standard output, and on standard error


def start(store: Path, *options: object) -> Started:
    handle, name = tempfile.mkstemp(dir=store.parent)
    os.close(handle)
    said = (Path(name), Path(f"{name}-errors"))
    process = FORKS.Process(target=run_aside, args=([str(store), *map(str, options)], *said))
    process.start()
    return Started(process, said)


def finish(started: Started) -> tuple[int | None, str, str]:
    started.process.join(timeout=120)
    out, err = (path.read_text() for path in started.said)
    return started.process.exitcode, out, err


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of a store by its path in it."""
    found = (path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in found}


def n_seen(log: Path) -> int:
    return sum(map(int, log.read_text().split()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    """The store and the matrix of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    code, _, err = finish(start(folder / "store", "--out", folder / "out"))
    assert code == 0, err
    return files_of(folder / "store"), (folder / "out").read_bytes()


@pytest.mark.parametrize(
    ("death", "n_left"),
    [
        (("--die-while-writing", 0), 0),
        (("--die-at-image", 200), 1),
        (("--die-while-writing", 2), 2),
    ],
)
def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path, whole: tuple[dict[str, bytes], bytes], death: tuple[str, int], n_left: int
):
    store, log, out = tmp_path / "store", tmp_path / "log", tmp_path / "out"
    code, _, _ = finish(start(store, "--log", log, *death))
    assert code == -signal.SIGKILL
    assert len(list(store.rglob("*.safetensors"))) == n_left
    code, said, err = finish(start(store, "--log", log, "--out", out))
    assert code == 0, err
    assert said == f"recorded activations: {n_left * SHARD:,} of {N_IMAGES:,} images from the store '{store}'\n"
    assert files_of(store) == whole[0]
    assert out.read_bytes() == whole[1]
    assert N_IMAGES <= n_seen(log) <= N_IMAGES + SHARD + 2 * TRIES


def test_several_processes_fill_one_entry_together(tmp_path: Path, whole: tuple[dict[str, bytes], bytes]):
    """Each begins only once all three have claimed a shard, so that none of the four can be made by waiting."""
    store, log = tmp_path / "store", tmp_path / "log"
    outs = [tmp_path / name for name in "abc"]
    ended = [finish(one) for one in [start(store, "--log", log, "--out", out, "--meet", 3) for out in outs]]
    assert [code for code, _, _ in ended] == [0, 0, 0], ended
    assert [out.read_bytes() for out in outs] == [whole[1]] * 3
    assert files_of(store) == whole[0]
    assert N_IMAGES <= n_seen(log) <= N_IMAGES + 3 * TRIES  # every shard once
    begun = f"recorded activations: 0 of {N_IMAGES:,} images from the store '{store}'"
    waiting = "recorded activations: somebody else is at it; waiting for its result"
    assert all(said.splitlines() in ([begun], [begun, waiting]) for _, said, _ in ended)


def test_what_a_dead_process_had_claimed_is_taken_over(tmp_path: Path, whole: tuple[dict[str, bytes], bytes]):
    store, log, out = tmp_path / "store", tmp_path / "log", tmp_path / "out"
    both = [start(store, "--log", log, "--meet", 2, *option) for option in (("--die-at-image", 16), ("--out", out))]
    (code, _, _), (other, _, err) = (finish(process) for process in both)
    assert code == -signal.SIGKILL
    assert other == 0, err
    assert out.read_bytes() == whole[1]
    # The dead one's claims go when somebody is there alone.
    code, said, err = finish(start(store))
    assert code == 0, err
    assert f"{N_IMAGES:,} of {N_IMAGES:,}" in said
    assert files_of(store) == whole[0]


def test_a_full_disk_is_said_and_the_store_stays_sound(tmp_path: Path, whole: tuple[dict[str, bytes], bytes]):
    store, out = tmp_path / "store", tmp_path / "out"
    code, _, err = finish(start(store, "--largest-file", 6_000))  # the manifest fits, a shard does not
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(f"The store '{store}' cannot be used (File too large). What it holds stays usable. Make room")
    assert verify_store(le.Store(store)) == (1, {})
    assert not list(store.rglob("*.part"))
    code, _, err = finish(start(store, "--out", out))
    assert code == 0, err
    assert out.read_bytes() == whole[1]


KEY = Key("activations", {"what": "numbers"}, 10, 4)


def numbers(parts: Parts, keep: Keep) -> None:
    for part in parts:
        keep({"a": torch.arange(part.start, part.stop)[:, None].float()})


@pytest.mark.parametrize(("name", "n_rows"), [("other", 4), ("numbers", 3)])
def test_a_sound_shard_of_other_matrices_is_damaged(tmp_path: Path, name: str, n_rows: int):
    rows, right = range(4), {"numbers": torch.zeros(4, 2)}
    for number, tensors in enumerate((right, {name: torch.zeros(n_rows, 2)})):
        write_shard(tmp_path, "entry", number, rows, tensors)
    sound, other = sorted(tmp_path.iterdir())
    assert read_shard(sound, "entry", rows, ["numbers"]).keys() == {"numbers"}
    with pytest.raises(DamagedError, match="00001: it holds other matrices"):
        read_shard(other, "entry", rows, ["numbers"])


def test_a_folder_that_vanishes_is_said(tmp_path: Path):
    store = le.Store(tmp_path / "store")

    def compute(parts: Parts, keep: Keep) -> None:
        def then_vanish(batch: Mapping[str, Tensor]) -> None:
            keep(batch)
            shutil.rmtree(store.folder)

        numbers(parts, then_vanish)

    with pytest.raises(OSError, match=r"^The store '.*' cannot be used \(No such file or directory\)\. What .* Make"):
        store.fill(KEY, ["a"], compute, what="numbers")
    assert store.fill(KEY, ["a"], numbers, what="numbers")["a"][:, 0].tolist() == list(range(10))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/store")):
        with pytest.raises(OSError, match=r"^The store '.*' cannot be used \(.*\)\. .* or work without a store"):
            le.Store(folder).fill(KEY, ["a"], numbers, what="numbers")


class Greedy(nn.Module):
    """Needs more memory than there is for images that begin with 1."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Identity()

    def forward(self, batch: Tensor) -> Tensor:
        if batch[0, 0] == 1:
            torch.empty(1 << 50)
        return self.last(batch)


def test_no_memory_is_said_and_what_was_done_stays(tmp_path: Path):
    store, images = le.Store(tmp_path / "store"), torch.zeros(250, 3)
    images[200:] = 1
    with pytest.raises(
        RuntimeError, match=r"There is no memory for a batch of shape \[1, 3\] .*Use a machine with more memory"
    ):
        le.record(Greedy(), "last", images, store=store, show_progress=False)
    (entry,) = list_store(store)
    assert (entry.n_complete, entry.n_rows) == (128, 250)
    assert verify_store(store) == (2, {})


def test_an_interruption_says_how_to_go_on(tmp_path: Path):
    store = le.Store(tmp_path / "store")

    def compute(parts: Parts, keep: Keep) -> None:
        numbers(Parts(islice(parts, 2), 8), keep)
        raise KeyboardInterrupt

    said = f"8 of 10 images are in the store '{store.folder}' (numbers); run the same again to go on from there."
    with pytest.raises(KeyboardInterrupt) as raised:
        store.fill(KEY, ["a"], compute, what="numbers")
    assert str(raised.value) == said
    asked: list[range] = []
    store.fill(KEY, ["a"], lambda parts, keep: (asked.extend(parts), numbers(parts, keep))[1], what="numbers")
    assert asked == [range(8, 10)]
