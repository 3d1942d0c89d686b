"""A folder in which long work is kept, shard by shard."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from linexp._internal.checks import listing
from linexp._internal.files import check_writable_folder
from linexp.store.claims import PAUSE
from linexp.store.entry import shard_files
from linexp.store.filling import Filling
from linexp.store.hashing import UnknownContentError
from linexp.store.key import Key
from linexp.store.parts import Compute


@dataclass(frozen=True)
class Store:
    """A folder that keeps activations, embeddings and impact under keys of everything they depend on.

    A run that was stopped goes on at its first missing shard; one that was done is read. Several processes, also of
    several machines, may fill it together: each makes the next shard that nobody is at work on, and reads the others.
    Whatever is removed from it (``linexp store prune``, ``rm -r``) costs time and no results.

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
        self, key: Key, names: Sequence[str], compute: Compute, *, what: str, unit: str = "images"
    ) -> dict[str, Tensor]:
        """Return the matrices of a key: what is stored is read, the rest computed and stored shard by shard.

        Parameters
        ----------
        key
            Everything the result depends on.
        names
            Of the matrices.
        compute
            Called with the rows that are to be computed, if any; hands over their batches in order, none of which
            reaches over the end of a part. A shard is claimed when ``compute`` asks for the next part, so it should
            not ask for more than it needs to keep busy. It may be called again, for shards whose makers died.
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
        filling = Filling(self.folder, key, names)
        try:
            self._warn(filling.enter(), filling, what)
            n_stored = key.n_rows - filling.n_missing
            self._say(f"{what}: {n_stored:,} of {key.n_rows:,} {unit} from the store '{self.folder}'")
            try:
                self._complete(filling, compute, what)
            except KeyboardInterrupt as error:
                n_stored = sum(len(key.shards[number]) for number in shard_files(filling.folder))
                raise KeyboardInterrupt(
                    f"{n_stored:,} of {key.n_rows:,} {unit} are in the store '{self.folder}' ({what}); "
                    "run the same again to go on from there."
                ) from error
        finally:
            filling.leave()
        return filling.matrices

    def _complete(self, filling: Filling, compute: Compute, what: str) -> None:
        is_said = False
        while filling.missing:
            parts = filling.parts()
            if next(iter(parts), None) is not None:
                compute(parts, filling.put)
            else:
                if not is_said:
                    self._say(f"{what}: somebody else is at it; waiting for its result")
                is_said = True
                time.sleep(PAUSE)
            self._warn(filling.read(), filling, what)

    def _warn(self, damages: Sequence[str], filling: Filling, what: str) -> None:
        if damages:
            warnings.warn(
                f"{len(damages)} files of '{filling.folder}' ({what}) are damaged ({listing(damages, 4)}) and are made "
                "anew.",
                UserWarning,
                stacklevel=4,
            )

    def _say(self, line: str) -> None:
        if self.tell is not None:
            self.tell(line)


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
