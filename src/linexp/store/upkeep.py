"""Look after a store: what is in it, whether it is sound, and what can go."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from linexp.store.claims import REMOVING, Claim, Claims, living_claims
from linexp.store.entry import ENTRY, MANIFEST, DamagedError, read_manifest, read_shard, shard_files
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
        Of work, such as "activations".
    of
        The model's name and the layers, or what was embedded; empty where the manifest is damaged.
    n_rows, n_complete
        Images (or texts) in all, and in the shards that are there.
    size
        Bytes on the disk.
    used
        When it was last used, in seconds since 1970.
    claims
        Who is at work on it.
    """

    folder: Path
    kind: str
    of: str
    n_rows: int
    n_complete: int
    size: int
    used: float
    claims: tuple[Claim, ...] = ()


def list_store(store: Store) -> list[Stored]:
    """Return the entries of a store, the last used first; looks at no shard's content."""
    found = list[Stored]()
    for folder in _entries(store):
        with suppress(FileNotFoundError):  # somebody removes it just now
            found.append(_describe(folder))
    return sorted(found, key=lambda one: (-one.used, one.folder.name))


def verify_store(store: Store) -> tuple[int, dict[Path, str]]:
    """Read every file of a store and change none; what is being written counts once it is complete.

    Returns
    -------
    tuple
        How many files are sound, and the others, each with what is wrong.
    """
    found = {path: reason for folder in _entries(store) for path, reason in _check(folder)}
    damaged = {path: reason for path, reason in found.items() if reason is not None}
    return len(found) - len(damaged), damaged


def prune_store(store: Store, *, older_than: float | None = None, max_size: int | None = None) -> list[Stored]:
    """Remove what was last used more seconds ago than ``older_than``, and then the longest unused.

    That is until ``max_size`` bytes stay. What is just being used stays. Nothing but entries of the store is touched.
    Returns what was removed.
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
    return _parse("age", text, "([mhdw])", _AGES, "minutes, hours, days or weeks, such as 90m, 12h, 30d or 8w")


def parse_size(text: str) -> int:
    """Return the bytes in "500MB", "10GB" or "1.5T"; raises as ``parse_age``."""
    return int(_parse("size", text, "([kmgt]?)b?", _SIZES, "bytes, or a number with kB, MB, GB or TB, such as 10GB"))


def _parse(what: str, text: str, unit: str, factors: Mapping[str, int], remedy: str) -> float:
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)\s*{unit}", text.strip().lower())
    if match is None:
        raise ValueError(f"The {what} is '{text}'. Give {remedy}.")
    return float(match[1]) * factors[match[2]]


def _entries(store: Store) -> list[Path]:
    if not store.folder.is_dir():
        return []
    return sorted(path for path in store.folder.iterdir() if ENTRY.fullmatch(path.name) and path.is_dir())


def _describe(folder: Path) -> Stored:
    manifest = dict[str, Any]()
    with suppress(DamagedError):
        manifest = read_manifest(folder)
    identity, about = manifest.get("identity", {}), manifest.get("about", {})
    n_rows, shard_rows = int(identity.get("rows", 0)), int(identity.get("shard_rows", 1))
    used = folder.stat().st_mtime  # a run that enters writes a claim there
    shards = shard_files(folder)
    complete = (max(0, min(shard_rows, n_rows - number * shard_rows)) for number in shards)
    return Stored(
        folder,
        folder.name.rpartition("-")[0],
        f"{about.get('model', '')}: {', '.join(map(str, about.get('of', ())))}" if about else "",
        n_rows,
        sum(complete),
        sum(path.stat().st_size for path in (folder / MANIFEST, *chain(*shards.values())) if path.exists()),
        used,
        tuple(living_claims(folder)),
    )


def _check(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file of an entry with what is wrong with it, or ``None``."""
    try:
        identity = read_manifest(folder)["identity"]
    except DamagedError as error:
        if not living_claims(folder):  # else it may be about to be written
            yield folder, str(error)
        return
    yield folder / MANIFEST, None
    n_rows, shard_rows = int(identity["rows"]), int(identity["shard_rows"])
    for number, paths in shard_files(folder).items():
        rows = range(number * shard_rows, min((number + 1) * shard_rows, n_rows))
        for path in paths:
            try:
                read_shard(path, folder.name, rows)
                yield path, None
            except FileNotFoundError:  # somebody removed it just now
                continue
            except DamagedError as error:
                yield path, str(error)


def _remove(folder: Path) -> bool:
    """Remove an entry nobody uses: first its name, so that whoever comes begins another."""
    claims, going = Claims(folder), folder.with_name(f"{_GOING}{folder.name}")
    try:
        # First the claim, then the look around; those who enter do it the other way round, so that one sees the other.
        if not (claims.take(REMOVING) and claims.is_alone()):
            return False
        shutil.rmtree(going, ignore_errors=True)  # what a killed prune left
        folder.rename(going)
    except FileNotFoundError:  # another prune was faster
        return False
    finally:
        claims.leave()
    shutil.rmtree(going)
    return True
