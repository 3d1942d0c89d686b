"""Killed, crowded, full, vanished: the store loses nothing that was complete, and says in a sentence what is wrong."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.store import Keep, Key, lock
from linexp.store.lock import InUseError, locked
from linexp.store.upkeep import list_store, prune_store, verify_store
from tests.store_worker import N_IMAGES, SHARD

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the store needs POSIX locks")
TRIES = 8 + 4 * 4  # the images on which the fastest way is looked for
ROOT = Path(__file__).parents[1]


def start(store: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store_worker", str(store), *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of a store but the locks, by its path in it."""
    found = (path for path in store.rglob("*") if path.is_file() and path.name != "lock")
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


def test_two_processes_do_the_work_once(tmp_path: Path, whole: tuple[dict[str, bytes], bytes]):
    store, log = tmp_path / "store", tmp_path / "log"
    outs = tmp_path / "a", tmp_path / "b"
    both = [start(store, "--log", log, "--out", out, "--seconds-per-batch", 0.02) for out in outs]
    ended = [finish(process) for process in both]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert outs[0].read_bytes() == outs[1].read_bytes() == whole[1]
    assert files_of(store) == whole[0]
    assert N_IMAGES <= n_seen(log) <= N_IMAGES + TRIES
    starts = sorted(said.splitlines()[-1] for _, said, _ in ended)
    assert starts == [
        f"recorded activations: {done:,} of {N_IMAGES:,} images from the store '{store}'" for done in (0, N_IMAGES)
    ]


def test_a_full_disk_is_said_and_the_store_stays_sound(tmp_path: Path, whole: tuple[dict[str, bytes], bytes]):
    store, out = tmp_path / "store", tmp_path / "out"
    code, _, err = finish(start(store, "--largest-file", 6_000))  # the manifest fits, a shard does not
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(f"The store '{store}' cannot be used (File too large). What it holds stays usable. Make room")
    assert verify_store(le.Store(store)) == (1, {}, 0)
    assert not list(store.rglob("*.part"))
    code, _, err = finish(start(store, "--out", out))
    assert code == 0, err
    assert out.read_bytes() == whole[1]


KEY = Key("activations", {"what": "numbers"}, 10, 4)


def numbers(rows: Sequence[range], keep: Keep) -> None:
    for part in rows:
        keep({"a": torch.arange(part.start, part.stop)[:, None].float()})


def test_a_folder_that_vanishes_is_said(tmp_path: Path):
    store = le.Store(tmp_path / "store")

    def compute(rows: Sequence[range], keep: Keep) -> None:
        def then_vanish(batch: Mapping[str, Tensor]) -> None:
            keep(batch)
            shutil.rmtree(store.folder)

        numbers(rows, then_vanish)

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
        RuntimeError, match=r"There is no memory for a batch of shape \[8, 3\] .*Use a smaller batch_size"
    ):
        le.record(Greedy(), "last", images, store=store, show_progress=False)
    (entry,) = list_store(store)
    assert (entry.n_complete, entry.n_rows) == (128, 250)
    assert verify_store(store) == (2, {}, 0)


def test_an_interruption_says_how_to_go_on(tmp_path: Path):
    store = le.Store(tmp_path / "store")

    def compute(rows: Sequence[range], keep: Keep) -> None:
        numbers(rows[:2], keep)
        raise KeyboardInterrupt

    said = f"8 of 10 images are in the store '{store.folder}' (numbers); run the same again to go on from there."
    with pytest.raises(KeyboardInterrupt) as raised:
        store.fill(KEY, ["a"], compute, what="numbers")
    assert str(raised.value) == said
    asked: list[Sequence[range]] = []
    store.fill(KEY, ["a"], lambda rows, keep: (asked.append(rows), numbers(rows, keep))[1], what="numbers")
    assert asked == [[range(8, 10)]]


def test_threads_do_the_work_once(tmp_path: Path):
    waiting = threading.Semaphore(0)
    store = le.Store(tmp_path / "store", tell=lambda line: waiting.release() if "waiting" in line else None)
    begun, go_on, done = threading.Event(), threading.Event(), list[int]()

    def compute(rows: Sequence[range], keep: Keep) -> None:
        begun.set()
        assert go_on.wait(60)
        done.append(sum(map(len, rows)))
        numbers(rows, keep)

    def run() -> None:
        store.fill(KEY, ["a"], compute, what="numbers")

    threads = [threading.Thread(target=run) for _ in range(3)]
    threads[0].start()
    assert begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    assert all(waiting.acquire(timeout=60) for _ in range(2))
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert done == [10]


def test_who_waited_for_an_entry_that_was_removed_locks_its_successor(tmp_path: Path):
    path = tmp_path / "entry" / "lock"
    with locked(path, None):
        with pytest.raises(InUseError, match=r"entry' is in use"), locked(path, None):
            pass
        handle = lock._acquire(tmp_path / "entry" / "other", None)
        path.rename(tmp_path / "gone")
        assert not lock._is_still(path, handle)
    with locked(path, None):
        assert path.exists()


def test_what_is_in_use_is_not_pruned(tmp_path: Path):
    store = le.Store(tmp_path / "store")
    kept: list[object] = []

    def compute(rows: Sequence[range], keep: Keep) -> None:
        kept.extend(prune_store(store, max_size=0))
        assert verify_store(store) == (0, {}, 1)
        numbers(rows, keep)

    store.fill(KEY, ["a"], compute, what="numbers")
    assert kept == []
    assert len(list_store(store)) == 1
    (store.folder / ".removed-activations-0").mkdir()  # by a prune that was killed
    assert len(prune_store(store, max_size=0)) == 1
    assert list_store(store) == []
    assert list(store.folder.iterdir()) == []
