"""One entry while a run is in it: what is there is read; what is missing is claimed, shard by shard, and written."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from linexp.store.claims import Claims
from linexp.store.entry import (
    MANIFEST,
    DamagedError,
    has_shard,
    read_manifest,
    read_shard,
    shard_files,
    write_manifest,
    write_shard,
)
from linexp.store.key import Key
from linexp.store.parts import Parts, place


class Filling:
    """What a run has of an entry (``matrices``), and the numbers of the shards it has not yet (``missing``)."""

    def __init__(self, store: Path, key: Key, names: Sequence[str]) -> None:
        self.store, self.folder, self.key, self.names = store, store / key.name, key, names
        self.matrices = dict[str, Tensor]()
        self.missing = dict.fromkeys(range(len(key.shards)))
        self._claims = Claims(self.folder)
        self._begun = deque[int]()
        self._batches: list[Mapping[str, Tensor]] = []

    def enter(self) -> list[str]:
        """Enter the entry, which is made if needed, and read what is there; returns what is damaged, and is removed."""
        with self._told():
            self._claims.enter()
            self._claims.sweep()
            damages = _check_manifest(self.folder, self.key)
        return damages + self.read()

    def leave(self) -> None:
        """Leave what is not done to others."""
        self._claims.leave()

    def read(self) -> list[str]:
        """Read the shards that are there by now; returns what is damaged, and is removed."""
        damages = list[str]()
        with self._told():
            files = shard_files(self.folder)
            for number in list(self.missing):
                for path in files.get(number, ()):
                    try:
                        self._take(number, read_shard(path, self.key.name, self.key.shards[number], self.names))
                        break
                    except FileNotFoundError:  # somebody else has found it damaged
                        continue
                    except DamagedError as error:
                        damages.append(str(error))
                        path.unlink(missing_ok=True)
        return damages

    def parts(self) -> Parts:
        """Return what is missing and free; a shard is claimed when it is asked for."""
        if self._begun:
            raise RuntimeError(f"Nothing was computed for shard {self._begun[0]}.")
        return Parts(self._claim(), self.n_missing)

    def put(self, batch: Mapping[str, Tensor]) -> None:
        """Take the next batch, and write its shard if that is complete."""
        number = self._begun[0]
        part = self.key.shards[number]
        self._batches.append(batch)
        n_rows = sum(len(next(iter(one.values()))) for one in self._batches)
        if n_rows > len(part):
            raise RuntimeError(f"A batch reaches over the end of shard {number}. Make batches that divide it.")
        if n_rows < len(part):
            return
        shard = {name: torch.cat([one[name] for one in self._batches]) for name in batch}
        with self._told():
            # If somebody was faster, theirs is read: another kind of processor may differ in the last bits.
            if not has_shard(self.folder, number):
                write_shard(self.folder, self.key.name, number, part, shard)
                self._take(number, shard)
            self._claims.release(f"{number:05}")
        self._begun.popleft()
        self._batches = []

    @property
    def n_missing(self) -> int:
        """Rows that are missing."""
        return sum(len(self.key.shards[number]) for number in self.missing)

    def _claim(self) -> Iterator[range]:
        for number in list(self.missing):
            with self._told():
                if not self._claims.take(f"{number:05}"):
                    continue
                if has_shard(self.folder, number):  # done between two looks
                    self._claims.release(f"{number:05}")
                    continue
            self._begun.append(number)
            yield self.key.shards[number]

    def _take(self, number: int, shard: Mapping[str, Tensor]) -> None:
        place(self.matrices, self.key.n_rows, self.key.shards[number].start, shard)
        del self.missing[number]

    @contextmanager
    def _told(self) -> Generator[None, None, None]:
        """Say what goes wrong with files in the store's words."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"The store '{self.store}' cannot be used ({error.strerror or error}). What it holds stays usable. "
                "Make room there, name another folder (--store, store=), or work without a store (--no-store, "
                "store=None)."
            ) from error


def _check_manifest(folder: Path, key: Key) -> list[str]:
    """Write the manifest of a new entry, or that of one whose manifest is damaged, and say so."""
    is_new = not (folder / MANIFEST).exists()
    try:
        read_manifest(folder)
    except DamagedError as error:
        write_manifest(folder, key)
        return [] if is_new else [str(error)]
    return []
