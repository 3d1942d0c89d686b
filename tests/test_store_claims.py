"""Claims: who is at work is left alone, the dead are not waited for, and nothing in use is removed."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import linexp as le
from linexp.store import Keep, Key, Parts, list_store, prune_store, verify_store
from linexp.store import claims as module
from linexp.store.claims import REMOVING, Claims, living_claims
from linexp.store.filling import Filling

KEY = Key("numbers", {"what": "numbers"}, 10, 4)
GONE = 2**22 + 1  # no system has a process of this number


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> le.Store:
    monkeypatch.setattr("linexp.store.store.PAUSE", 0.01)
    monkeypatch.setattr(module, "PAUSE", 0.01)
    return le.Store(tmp_path / "store")


def numbers(parts: Parts, keep: Keep) -> None:
    for part in parts:
        keep({"a": torch.arange(part.start, part.stop)[:, None].float()})


def fill(store: le.Store, compute: Callable[[Parts, Keep], None] = numbers) -> list[float]:
    return store.fill(KEY, ["a"], compute, what="numbers")["a"][:, 0].tolist()


def claim(store: le.Store, name: str, host: str = "elsewhere", pid: int = 1, *, seconds_ago: float = 0.0) -> Path:
    """Claim as another process would."""
    path = store.folder / KEY.name / f"{name}.claim"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps((host, pid, 1.0)))
    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))
    return path


def in_threads(n_threads: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_each_of_three_makes_a_shard_of_its_own_at_the_same_time(store: le.Store):
    all_here, made, found = threading.Barrier(3), list[range](), list[list[float]]()

    def compute(parts: Parts, keep: Keep) -> None:
        part = next(iter(parts))
        all_here.wait(60)  # nobody comes here without a claim, so that each has one of the three
        made.append(part)
        numbers(parts, keep)

    in_threads(3, lambda: found.append(fill(store, compute)))
    assert sorted(part.start for part in made) == [0, 4, 8]
    assert found == [list(range(10))] * 3
    assert sorted(path.suffix for path in (store.folder / KEY.name).iterdir()) == [".json"] + [".safetensors"] * 3


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at the same moment"])
def test_two_who_make_the_same_shard_both_succeed_and_one_file_stays(
    store: le.Store, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
):
    """What claims shall prevent, and what must not matter where they cannot: nobody believes a claim here."""
    monkeypatch.setattr(module, "_DEAD_AFTER", -1.0)
    if at_once:  # neither sees the other's file before writing
        monkeypatch.setattr("linexp.store.filling.has_shard", lambda *_: False)
    made = list[range]()

    def compute(parts: Parts, keep: Keep) -> None:
        made.extend(parts)
        assert fill(store, lambda parts, keep: (made.extend(parts), numbers(parts, keep))[1]) == list(range(10))
        numbers(parts, keep)

    assert fill(store, compute) == list(range(10))
    assert made == KEY.shards * 2
    assert verify_store(store) == (4, {})


def test_who_finds_only_claimed_shards_waits_and_says_so_once(store: le.Store):
    told = list[str]()
    waiting = threading.Event()
    patient = le.Store(store.folder, tell=lambda line: (told.append(line), "waiting" in line and waiting.set())[0])
    found = list[list[float]]()
    other = threading.Thread(target=lambda: found.append(fill(patient)))

    def compute(parts: Parts, keep: Keep) -> None:
        list(parts)
        other.start()
        assert waiting.wait(60)
        time.sleep(0.1)  # several looks, one line
        numbers(parts, keep)

    assert fill(store, compute) == list(range(10))
    other.join(60)
    assert found == [list(range(10))]
    assert told == [
        f"numbers: 0 of 10 images from the store '{store.folder}'",
        "numbers: somebody else is at it; waiting for its result",
    ]


@pytest.mark.parametrize(
    ("host", "pid", "seconds_ago"),
    [("elsewhere", 1, 200.0), (socket.gethostname(), os.getpid(), 200.0), (socket.gethostname(), GONE, 0.0)],
    ids=["not refreshed", "of a process whose number another has now", "of a process that is gone"],
)
def test_a_dead_claim_is_taken_over(store: le.Store, host: str, pid: int, seconds_ago: float):
    for name in ("00000", "00002", "user-0", REMOVING):
        claim(store, name, host, pid, seconds_ago=seconds_ago)
    assert living_claims(store.folder / KEY.name) == []
    assert fill(store) == list(range(10))
    assert not list(store.folder.rglob("*.claim"))


def test_a_claim_that_is_no_longer_refreshed_is_taken_over_while_waiting(store: le.Store):
    theirs = claim(store, "00001")

    def die() -> None:
        os.utime(theirs, (1, 1))

    asked = list[list[range]]()

    def compute(parts: Parts, keep: Keep) -> None:
        asked.append(list(parts))
        numbers(parts, keep)
        if len(asked) == 1:
            die()

    assert fill(store, compute) == list(range(10))
    assert asked == [[range(0, 4), range(8, 10)], [range(4, 8)]]


@pytest.mark.parametrize("text", ["", "{", "[]", '["a", "b", 1]', "\xff"])
def test_a_claim_that_says_nothing_lives_as_long_as_it_is_refreshed(store: le.Store, text: str):
    path = claim(store, "00000")
    path.write_bytes(text.encode("latin-1"))
    assert [one.path for one in living_claims(path.parent)] == [path]
    os.utime(path, (1, 1))
    assert living_claims(path.parent) == []


def test_the_clock_is_that_of_the_disk(store: le.Store, monkeypatch: pytest.MonkeyPatch):
    """This machine's clock is an hour ahead of the one that stamps the files, or behind it."""
    path = claim(store, "00000")
    os.utime(path)
    now = time.time()
    for skew in (3600, -3600):
        monkeypatch.setattr(module.time, "time", lambda skew=skew: now + skew)
        assert len(living_claims(path.parent)) == 1


def test_a_claim_is_refreshed_while_its_owner_is_there(store: le.Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_REFRESHED_EVERY", 0.01)
    folder = store.folder / "entry"
    claims = Claims(folder)
    claims.enter()
    try:
        assert claims.take("00000")
        os.utime(folder / "00000.claim", (1, 1))
        until = time.monotonic() + 60
        while (folder / "00000.claim").stat().st_mtime == 1:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        claims.leave()
    assert not list(folder.iterdir())


def test_an_error_leaves_the_rest_to_others(store: le.Store):
    def compute(parts: Parts, keep: Keep) -> None:
        list(parts)
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        fill(store, compute)
    assert not list(store.folder.rglob("*.claim"))
    assert fill(store) == list(range(10))


def test_what_another_machine_was_first_with_is_kept(store: le.Store):
    """The last bits of two kinds of processors differ; one file stays, and both have what is in it."""

    def compute(parts: Parts, keep: Keep) -> None:
        theirs = Filling(store.folder, KEY, ["a"])
        theirs._claims = Claims(theirs.folder.parent / "nowhere")  # theirs were not seen
        theirs._claims.enter()
        for _ in theirs.parts():
            theirs.put({"a": torch.full((len(KEY.shards[theirs._begun[0]]), 1), 7.0)})
        theirs.leave()
        numbers(parts, keep)

    assert fill(store, compute) == fill(store) == [7.0] * 10


def test_what_is_in_use_is_not_pruned(store: le.Store):
    kept = list[object]()

    def compute(parts: Parts, keep: Keep) -> None:
        kept.extend(prune_store(store, max_size=0))
        assert verify_store(store) == (1, {})
        (entry,) = list_store(store)
        assert [one.path.name[:5] for one in entry.claims] == ["00000", "user-"]
        assert {(one.host, one.pid) for one in entry.claims} == {(socket.gethostname(), os.getpid())}
        numbers(parts, keep)

    fill(store, compute)
    assert kept == []
    assert len(list_store(store)) == 1
    claim(store, "user-reads")
    assert prune_store(store, max_size=0) == []
    os.utime(claim(store, "user-reads"), (1, 1))
    (store.folder / ".removed-activations-0").mkdir()  # by a prune that was killed
    assert len(prune_store(store, max_size=0)) == 1
    assert list_store(store) == []
    assert list(store.folder.iterdir()) == []


def test_who_comes_while_an_entry_is_removed_begins_another(store: le.Store):
    fill(store)
    remover = Claims(store.folder / KEY.name)
    assert remover.take(REMOVING)
    assert remover.is_alone()
    visitor, found = threading.Event(), list[list[float]]()

    def compute(parts: Parts, keep: Keep) -> None:
        assert remover.folder.with_name("gone").exists()  # not before
        visitor.set()
        numbers(parts, keep)

    thread = threading.Thread(target=lambda: found.append(fill(store, compute)))
    thread.start()
    time.sleep(0.1)
    remover.folder.rename(remover.folder.with_name("gone"))
    remover.leave()
    thread.join(60)
    assert visitor.is_set()
    assert found == [list(range(10))]


def test_only_who_is_alone_sweeps(store: le.Store):
    fill(store)
    draft = store.folder / KEY.name / ".00000-abc.safetensors.17.part"
    draft.write_bytes(b"half")
    other = claim(store, "user-other")
    fill(store)
    assert draft.exists()
    os.utime(other, (1, 1))
    fill(store)
    assert not draft.exists()
    assert not other.exists()


def test_a_part_is_drawn_when_it_is_first_asked_for():
    drawn = list[int]()

    def source() -> Iterator[range]:
        for start in (0, 4):
            drawn.append(start)
            yield range(start, start + 4)

    parts = Parts(source(), 8)
    first, second = iter(parts), parts.batches(3)
    assert drawn == []
    assert next(first) == range(4)
    assert [next(second), next(second)] == [range(3), range(3, 4)]
    assert drawn == [0]
    assert [next(second), next(first)] == [range(4, 7), range(4, 8)]
    assert drawn == [0, 4]
    assert list(parts) == [range(4), range(4, 8)]


def test_no_process_is_asked_where_that_would_end_it(monkeypatch: pytest.MonkeyPatch, store: le.Store):
    """On Windows ``os.kill(pid, 0)`` is no question: there a claim dies of not being refreshed alone."""
    path = claim(store, "00000", socket.gethostname(), GONE)
    monkeypatch.setattr(module.sys, "platform", "win32")
    monkeypatch.setattr(module.os, "kill", lambda *_: pytest.fail("asked"))
    assert len(living_claims(path.parent)) == 1
    os.utime(path, (1, 1))
    assert living_claims(path.parent) == []


def test_a_file_that_somebody_reads_is_not_replaced_but_taken(store: le.Store, monkeypatch: pytest.MonkeyPatch):
    """Windows refuses to put a file in the place of one that is open; what is there has the same name, so content."""
    fill(store)
    monkeypatch.setattr("linexp.store.entry.write_atomically", refuse)
    monkeypatch.setattr("linexp.store.filling.has_shard", lambda *_: False)
    filling = Filling(store.folder, KEY, ["a"])
    filling.enter()
    filling.missing = {0: None}
    numbers(filling.parts(), filling.put)
    filling.leave()
    with pytest.raises(OSError, match="cannot be used"):
        le.Store(store.folder.with_name("other")).fill(KEY, ["a"], numbers, what="numbers")


def refuse(path: Path, content: bytes) -> None:
    raise PermissionError(13, "Permission denied")
