"""Pictures in files, known by what is in the files: SHA-256, taken anew as soon as a file can be another."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from PIL import Image

from linexp.images.content import content_fingerprint
from linexp.images.reading import check_picture, check_regular, read_rgb, reading, reason_of, unreadable

Mark: TypeAlias = tuple[int, ...]
"""Size, time of change of the content and of the file's entry (ns), number and device of a file."""


# No file is whole in memory; and hashlib lets other threads run while it works on more than 2 kB.
_PIECE = 1 << 20
# A change within one tick of the file system's clock leaves no trace; the slowest clocks tick every two seconds.
_TICK = 2_000_000_000


class Seen(NamedTuple):
    """What was in a file, and how the file looked then."""

    mark: Mark | None
    """``None``: the file was changed so shortly before that its looks prove nothing."""
    digest: bytes


class FilePictures:
    """What collections of files have in common; ``path_of`` and ``key_of`` say which file is which image.

    A digest is reused as long as the file has the same path, size, number, device and both times of change. The second
    of these times is the system's own: no program can set it, so a picture that was replaced is read again even where
    size and modification time are those of before. Nothing is reused where the system has no such time (Windows).
    """

    def path_of(self, index: int) -> str:
        """Return the path of one image."""
        raise NotImplementedError

    def key_of(self, index: int) -> str:
        """Return the name of one image that tells it from the others."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Image.Image:
        return read_rgb(Path(self.path_of(index)))

    def name(self, index: int) -> str:
        """Return the image's path."""
        return str(Path(self.path_of(index)))

    def check(self, index: int) -> None:
        """Raise ``OSError`` if the image cannot be read."""
        self.learn({self.key_of(index): self.inspect(index)})

    def inspect(self, index: int) -> Seen:
        """Return what is in the image's file, once it proved to be a picture; the file is opened once."""
        return inspect_file(Path(self.path_of(index)))

    def recall(self, index: int) -> bytes | None:
        """Return the SHA-256 of the image's file if that is known without reading it."""
        seen = self.known.get(self.key_of(index))
        return seen.digest if seen is not None and seen.mark == _mark_at(self.path_of(index)) else None

    def content(self, index: int) -> bytes:
        """Return the SHA-256 of the image's file."""
        found = self.recall(index)
        if found is not None:
            return found
        seen = digest_file(Path(self.path_of(index)))
        self.learn({self.key_of(index): seen})
        return seen.digest

    def learn(self, seen: Mapping[str, Seen]) -> None:
        """Remember what was in some files."""
        self.known.update((key, one) for key, one in seen.items() if one.mark is not None)

    @cached_property
    def known(self) -> dict[str, Seen]:
        """What was in the files that were read so far, by ``key_of``."""
        return {}

    @property
    def fingerprint(self) -> str:
        """Identifier made from the bytes of all files in their order; names, places and times do not count."""
        return content_fingerprint(self)  # pyright: ignore[reportArgumentType] - the collections are whole


def inspect_file(path: Path) -> Seen:
    """Return what is in a file, once it proved to be a picture; it is opened once."""
    with reading(str(path)):
        check_regular(path)
        with path.open("rb") as file:
            seen = _digest(file)
            check_picture(file)
    return seen


def digest_file(path: Path) -> Seen:
    """Return what is in a file, picture or not."""
    try:  # not reading(): that is no thing for several threads
        check_regular(path)
        with path.open("rb") as file:
            return _digest(file)
    except OSError as error:
        raise OSError(unreadable(str(path), reason_of(error))) from error


def _digest(file: BinaryIO) -> Seen:
    """Return what is in an open file, and leave it at its start."""
    before, digest = _mark(os.fstat(file.fileno())), hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    file.seek(0)
    is_old = before is not None and time.time_ns() - max(before[1:3]) > _TICK
    is_same = before == _mark(os.fstat(file.fileno()))
    return Seen(before if is_old and is_same else None, digest.digest())


def _mark_at(path: str) -> Mark | None:
    try:
        return _mark(os.stat(path))
    except OSError:  # it is reading it that fails
        return None


def _mark(status: os.stat_result) -> Mark | None:
    if os.name != "posix":
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
