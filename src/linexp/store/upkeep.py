"""Look after a store: what is in it, whether it is sound, and what can go."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from linexp.store.entry import ENTRY, LOCK, DamagedError, read_manifest, read_shard, shard_files
from linexp.store.lock import InUseError, locked
from linexp.store.store import Store

_GOING = ".removed-"


_AGES = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Stored:
    """One entry of a store.

    Parameters
    ----------
    folder
        Where it is.
    kind
        "activations", "embeddings", "impact" or "ablation".
    of
        The model's name and the layers, or what was embedded; empty where the manifest is damaged.
    n_rows, n_complete
        Images (or texts) in all, and in the shards that are there.
    size
        Bytes on the disk.
    used
        When it was last used, in seconds since 1970.
    """

    folder: Path
    kind: str
    of: str
    n_rows: int
    n_complete: int
    size: int
    used: float


def list_store(store: Store) -> list[Stored]:
    """Return the entries of a store, the last used first; looks at no shard's content."""
    return sorted(map(_describe, _entries(store)), key=lambda one: (-one.used, one.folder.name))


class Verified(NamedTuple):
    """What reading every file of a store found."""

    n_sound: int
    """Files that are what they should be."""
    damaged: dict[Path, str]
    """The others, each with what is wrong."""
    n_in_use: int
    """Entries that were not read, because somebody was just writing them."""


def verify_store(store: Store) -> Verified:
    """Read every file of a store that is not just being written, and change none."""
    n_sound, damaged, n_in_use = 0, dict[Path, str](), 0
    for folder in _entries(store):
        try:
            with locked(folder / LOCK, None):
                found = dict(_check(folder))
        except InUseError:
            n_in_use += 1
            continue
        n_sound += sum(reason is None for reason in found.values())
        damaged |= {path: reason for path, reason in found.items() if reason is not None}
    return Verified(n_sound, damaged, n_in_use)


def prune_store(store: Store, *, older_than: float | None = None, max_size: int | None = None) -> list[Stored]:
    """Remove what was not used for long, and then the longest unused until the rest is small enough.

    What is just being used stays. Nothing but entries of the store is touched.

    Parameters
    ----------
    older_than
        Remove what was last used more seconds ago.
    max_size
        Bytes that may stay.

    Returns
    -------
    list
        What was removed.
    """
    entries, removed = list_store(store), list[Stored]()
    for left_over in store.folder.glob(f"{_GOING}*"):  # by a prune that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    left = sum(one.size for one in entries)
    for one in reversed(entries):
        is_old = older_than is not None and time.time() - one.used > older_than
        is_too_much = max_size is not None and left > max_size
        if (is_old or is_too_much) and _remove(one.folder):
            removed.append(one)
            left -= one.size
    return removed


def parse_age(text: str) -> float:
    """Return the seconds in "90m", "12h", "30d" or "8w".

    Raises
    ------
    ValueError
        It is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip().lower())
    if match is None:
        raise ValueError(f"The age is '{text}'. Give minutes, hours, days or weeks, such as 90m, 12h, 30d or 8w.")
    return float(match[1]) * _AGES[match[2]]


def parse_size(text: str) -> int:
    """Return the bytes in "500MB", "10GB" or "1.5T".

    Raises
    ------
    ValueError
        It is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise ValueError(f"The size is '{text}'. Give bytes, or a number with kB, MB, GB or TB, such as 10GB.")
    return int(float(match[1]) * _SIZES[match[2]])


def _entries(store: Store) -> list[Path]:
    if not store.folder.is_dir():
        return []
    return sorted(path for path in store.folder.iterdir() if ENTRY.fullmatch(path.name) and path.is_dir())


def _describe(folder: Path) -> Stored:
    manifest = _manifest(folder)
    identity, about = manifest.get("identity", {}), manifest.get("about", {})
    n_rows, shard_rows = int(identity.get("rows", 0)), int(identity.get("shard_rows", 1))
    files = [path for path in folder.iterdir() if path.is_file()]
    complete = (max(0, min(shard_rows, n_rows - number * shard_rows)) for number in shard_files(folder))
    lock = folder / LOCK
    return Stored(
        folder,
        folder.name.partition("-")[0],
        f"{about.get('model', '')}: {', '.join(map(str, about.get('of', ())))}" if about else "",
        n_rows,
        sum(complete),
        sum(map(_size, files)),
        (lock if lock.exists() else folder).stat().st_mtime,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a draft that has its name by now
        return 0


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return read_manifest(folder)
    except DamagedError:
        return {}


def _check(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file of an entry with what is wrong with it, or ``None``."""
    try:
        identity = read_manifest(folder)["identity"]
    except DamagedError as error:
        yield folder, str(error)
        return
    yield folder / "manifest.json", None
    n_rows, shard_rows = int(identity["rows"]), int(identity["shard_rows"])
    for number, paths in shard_files(folder).items():
        rows = range(number * shard_rows, min((number + 1) * shard_rows, n_rows))
        for path in paths:
            try:
                read_shard(path, folder.name, rows)
                yield path, None
            except DamagedError as error:
                yield path, str(error)


def _remove(folder: Path) -> bool:
    """Remove an entry nobody uses: first its name, so that whoever waited for it begins another."""
    going = folder.with_name(f"{_GOING}{folder.name}")
    try:
        with locked(folder / LOCK, None):
            shutil.rmtree(going, ignore_errors=True)  # what a killed prune left
            folder.rename(going)
    except InUseError:
        return False
    shutil.rmtree(going)
    return True
