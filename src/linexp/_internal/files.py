"""Files that are there whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import csv
import io
import os
import secrets
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with replacing(path) as draft:
        draft.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """Yield another path to write to, which takes the place of ``path`` once everything is on the disk."""
    # Not the process's number: threads share it, and so may processes of two machines on one disk.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        draft.touch()
        usual = draft.stat().st_mode
        yield draft
        draft.chmod(usual)  # safetensors makes files that only their owner may read
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def share(source: Path, path: Path) -> None:
    """Make a file with the content of another, which takes no place of its own where the file system has hard links.

    Both stay what they are: files are replaced, never written over.
    """
    with replacing(path) as draft:
        draft.unlink()
        try:
            draft.hardlink_to(source)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, draft)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk too, where the system can; without that a power cut may bring back the old one."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def decode_text(content: bytes, path: Path) -> str:
    """Return a text file's content, its line ends as they are; a byte order mark at the start is left out.

    Raises
    ------
    ValueError
        It is not UTF-8, or holds NUL characters, as UTF-16 without a mark does; neither would be the words it was meant
        to be.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"The file '{path}' is not UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    if "\0" in text:
        raise ValueError(f"The file '{path}' holds NUL characters, so it is UTF-16 or no text. Save it as UTF-8.")
    return text


def check_writable_folder(path: Path) -> Path:
    """Create the folder ``path`` if needed, prove that a file can be written in it, and return it.

    Raises
    ------
    OSError
        The folder cannot be made or written; the message names it and says what to do.
    """
    probe = path / ".linexp-write-test"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # two may try at once
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"Cannot write in the folder '{path}' ({reason}). Choose another folder.") from error
    return path


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """Return cells as CSV, lines ended by a line feed; every cell can be read again, whatever is in it."""
    # Before Python 3.13 only the characters of the line's own end are quoted in cells: both are needed.
    pieces = _Pieces()
    csv.writer(pieces, lineterminator="\r\n").writerows(lines)
    return "".join(piece.removesuffix("\r\n") + "\n" for piece in pieces)


def read_csv(
    text: str, path: Path, remedy: str, *, strict: bool = True
) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    """Return the names of a table's columns, and of every line that is not empty its number and its cells by name.

    Cells that a line is too short for are ``None``; those that it is too long for are left out. With ``strict`` an open
    quote at the end is an error.

    Raises
    ------
    ValueError
        The text is not CSV; the message says in which line of the file, and then the remedy.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict)  # line ends as they are: cells may hold some
    try:
        (_, first), *lines = [(reader.line_num, cells) for cells in reader if cells] or [(0, list[str]())]
    except csv.Error as error:
        raise ValueError(f"The file '{path}' is not CSV ({error}, line {reader.line_num}). {remedy}") from error
    header = [column.strip() for column in first]
    return header, [(number, dict(zip_longest(header, cells[: len(header)]))) for number, cells in lines]


class _Pieces(list[str]):
    """A list that csv can write to: one piece per line."""

    def write(self, piece: str) -> None:
        self.append(piece)
