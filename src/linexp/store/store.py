"""A folder in which long work is kept, shard by shard."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from linexp._internal.checks import listing
from linexp._internal.files import check_writable_folder
from linexp.store.entry import (
    LOCK,
    MANIFEST,
    DamagedError,
    read_manifest,
    read_shard,
    remove_drafts,
    shard_files,
    write_manifest,
    write_shard,
)
from linexp.store.hashing import UnknownContentError
from linexp.store.key import Key
from linexp.store.lock import locked

Keep: TypeAlias = Callable[[Mapping[str, Tensor]], None]


Compute: TypeAlias = Callable[[Sequence[range], Keep], None]


_REMEDY = (
    "What it holds stays usable. Make room there, name another folder (--store, store=), or work without a store "
    "(--no-store, store=None)."
)


@dataclass(frozen=True)
class Store:
    """A folder that keeps activations, embeddings and impact under keys of everything they depend on.

    A run that was stopped goes on at its first missing shard; one that was done is read. Several processes may share
    it: one works, the others wait and read. Whatever is removed from it (``linexp store prune``, ``rm -r``) costs
    time and no results.

    Parameters
    ----------
    folder
        Made if needed.
    tell
        Called with a line about what was found there. Default: nobody is told.

    Examples
    --------
    >>> import tempfile, torch
    >>> import linexp as le
    >>> store = Store(Path(tempfile.mkdtemp()), tell=lambda line: print(line.split(" from the store")[0]))
    >>> model = torch.nn.Linear(2, 3)
    >>> inputs = torch.rand(4, 2)
    >>> wrapped = torch.nn.Sequential(model)
    >>> first = le.record(wrapped, "0", inputs, show_progress=False, store=store)
    recorded activations: 0 of 4 images
    >>> again = le.record(wrapped, "0", inputs, show_progress=False, store=store)
    recorded activations: 4 of 4 images
    >>> torch.equal(first.values, again.values)
    True
    """

    folder: Path
    tell: Callable[[str], None] | None = None

    def __init__(self, folder: str | os.PathLike[str], tell: Callable[[str], None] | None = None) -> None:
        object.__setattr__(self, "folder", Path(folder).expanduser())
        object.__setattr__(self, "tell", tell)

    @classmethod
    def default(cls, tell: Callable[[str], None] | None = None) -> Store:
        """Return the store in the user's cache folder, which the command line uses."""
        return cls(default_folder(), tell)

    def fill(
        self,
        key: Key,
        names: Sequence[str],
        compute: Compute,
        *,
        what: str,
        unit: str = "images",
    ) -> dict[str, Tensor]:
        """Return the matrices of a key: what is stored is read, the rest computed and stored shard by shard.

        Parameters
        ----------
        key
            Everything the result depends on.
        names
            Of the matrices.
        compute
            Called with the rows of the missing shards, if any; hands over their batches in order, none of which reaches
            over the end of a shard.
        what
            What is stored, in words, for messages.
        unit
            What a row is, in words.

        Raises
        ------
        OSError
            The folder cannot be read or written.
        KeyboardInterrupt
            With a sentence about how far it was.

        Warns
        -----
        UserWarning
            A file is damaged; its shard is computed again.
        """
        folder = self.folder / key.name
        with self._open(folder, what):
            with self._told():
                remove_drafts(folder)
                rows, missing = self._read(folder, key, names, what)
            n_stored = key.n_rows - sum(len(key.shards[number]) for number in missing)
            self._say(f"{what}: {n_stored:,} of {key.n_rows:,} {unit} from the store '{self.folder}'")
            if missing:
                writer = _Writer(self, folder, key, missing, rows)
                try:
                    compute([key.shards[number] for number in missing], writer.put)
                except KeyboardInterrupt as error:
                    raise KeyboardInterrupt(
                        f"{n_stored + writer.n_written:,} of {key.n_rows:,} {unit} are in the store '{self.folder}' "
                        f"({what}); run the same again to go on from there."
                    ) from error
                writer.check_end()
        return rows.matrices

    def _read(self, folder: Path, key: Key, names: Sequence[str], what: str) -> tuple[_Rows, list[int]]:
        """Return the sound shards and the numbers of the others, whose files are removed."""
        damages = _check_manifest(folder, key)
        rows, missing = _Rows(key.n_rows), list[int]()
        files = shard_files(folder)
        for number, part in enumerate(key.shards):
            found = None
            for path in files.get(number, []):
                try:
                    found = read_shard(path, key.name, part, names)
                    break
                except DamagedError as error:
                    damages.append(str(error))
                    path.unlink(missing_ok=True)
            if found is None:
                missing.append(number)
            else:
                rows.put(part.start, found)
        if damages:
            warnings.warn(
                f"{len(damages)} files of '{folder}' ({what}) are damaged ({listing(damages, 4)}) and are made anew.",
                UserWarning,
                stacklevel=4,
            )
        return rows, missing

    @contextmanager
    def _open(self, folder: Path, what: str) -> Generator[None, None, None]:
        """Hold the entry's lock; what goes wrong with that is said in the store's words."""
        lock = locked(folder / LOCK, lambda: self._say(f"{what}: somebody else is at it; waiting for its result"))
        with self._told():
            lock.__enter__()
            os.utime(folder / LOCK)  # when it was last used
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def _told(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(f"The store '{self.folder}' cannot be used ({reason}). {_REMEDY}") from error

    def _say(self, line: str) -> None:
        if self.tell is not None:
            self.tell(line)


class _Rows:
    """Matrices that are put together from pieces in any order."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.matrices: dict[str, Tensor] = {}

    def put(self, start: int, pieces: Mapping[str, Tensor]) -> None:
        for name, piece in pieces.items():
            if name not in self.matrices:
                self.matrices[name] = torch.empty(self.n_rows, *piece.shape[1:], dtype=piece.dtype)
            self.matrices[name][start : start + len(piece)] = piece


class _Writer:
    """Cuts the batches that come in into shards and stores each as soon as it is complete."""

    def __init__(self, store: Store, folder: Path, key: Key, missing: Sequence[int], rows: _Rows) -> None:
        self.store, self.folder, self.key, self.rows = store, folder, key, rows
        self.todo = list(missing)
        self.n_written = 0
        self._batches: list[Mapping[str, Tensor]] = []
        self._n_rows = 0

    def put(self, batch: Mapping[str, Tensor]) -> None:
        part = self.key.shards[self.todo[0]]
        self._batches.append(batch)
        self._n_rows += len(next(iter(batch.values())))
        if self._n_rows < len(part):
            return
        if self._n_rows > len(part):
            raise RuntimeError(f"A batch reaches over the end of shard {self.todo[0]}. Make batches that divide it.")
        shard = {name: torch.cat([one[name] for one in self._batches]) for name in batch}
        with self.store._told():  # pyright: ignore[reportPrivateUsage]
            write_shard(self.folder, self.key.name, self.todo.pop(0), part, shard)
        self.rows.put(part.start, shard)
        self.n_written += len(part)
        self._batches, self._n_rows = [], 0

    def check_end(self) -> None:
        if self.todo:
            raise RuntimeError(f"Nothing was computed for shard {self.todo[0]}.")


def _check_manifest(folder: Path, key: Key) -> list[str]:
    """Write the manifest of a new entry, or that of one whose manifest is damaged, and say so."""
    is_new = not (folder / MANIFEST).exists()
    try:
        read_manifest(folder)
    except DamagedError as error:
        write_manifest(folder, key)
        return [] if is_new else [str(error)]
    return []


def gather(n_rows: int, compute: Compute) -> dict[str, Tensor]:
    """Return what ``compute`` makes of all rows, as ``Store.fill`` does, and store nothing."""
    rows = _Rows(n_rows)
    start = 0

    def keep(batch: Mapping[str, Tensor]) -> None:
        nonlocal start
        rows.put(start, batch)
        start += len(next(iter(batch.values())))

    compute([range(n_rows)], keep)
    return rows.matrices


def after(keep: Keep, advance: Callable[[int], None]) -> Keep:
    """Return a ``keep`` that also tells how many rows are done."""

    def both(batch: Mapping[str, Tensor]) -> None:
        keep(batch)
        advance(len(next(iter(batch.values()))))

    return both


T = TypeVar("T")


def open_store(folder: Path | None) -> Store | None:
    """Open the store in a folder, in which it must be possible to write; ``None``: work without one."""
    if folder is None:
        return None
    store = Store(folder, tell=print)
    check_writable_folder(store.folder)
    return store


def with_store(store: Store | None, work: Callable[[Store | None], T]) -> T:
    """Do work with the store, or with a warning without it where nobody can say what the result depends on."""
    try:
        return work(store)
    except UnknownContentError as error:  # it comes before the work begins
        warnings.warn(f"Nothing of this is stored: {error}", UserWarning, stacklevel=2)
        return work(None)


def default_folder() -> Path:
    """Return the store's folder in the user's cache."""
    import platformdirs

    return platformdirs.user_cache_path("linexp") / "store"
