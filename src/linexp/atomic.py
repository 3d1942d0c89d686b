"""Files that are there whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with replacing(path) as draft:
        draft.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Generator[Path, None, None]:
    """Yield another path to write to, which takes the place of ``path`` once everything is on the disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
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
