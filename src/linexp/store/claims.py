"""Who is at work where: small files, refreshed while their owner lives and taken over when it is dead.

No locks: those of network disks cannot be relied on, and not every system has them. So no result depends on a claim.
A shard's file is named by its content and appears whole; where claims fail to keep two apart, both do the same work.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

REMOVING = "removing"
"""What somebody claims who is about to remove an entry."""


# A network disk may show a change a minute late, and a busy machine keep a thread waiting: dead only after minutes.
_REFRESHED_EVERY, _DEAD_AFTER = 20.0, 180.0
PAUSE = 0.5
"""Seconds before somebody who waits looks again: a shard takes seconds at least."""


class Claim(NamedTuple):
    """Who is at work: the file that says so, machine and process, and since when by that machine's clock."""

    path: Path
    host: str = ""
    pid: int = 0
    since: float = 0.0


class Claims:
    """What one run holds in an entry, from when it enters until it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held = dict[Path, None]()
        self._left = threading.Event()
        # A thread, because nobody knows how long a batch takes. It dies with the process, however that dies.
        threading.Thread(target=self._refresh, daemon=True).start()

    def enter(self) -> None:
        """Make the entry's folder if needed and be there, so that nobody removes it."""
        here = f"user-{secrets.token_hex(8)}"
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self.take(here)
                # Who removes an entry says so and then looks who is there; here it is the other way round: one of the
                # two sees the other. The folder may be gone by now, and our claim with it; then it is made anew.
                if _living(self._path(REMOVING), _now(self.folder)) is None and self._path(here).exists():
                    return
            except FileNotFoundError:
                if self.folder.exists():  # not removed just now: its files' names are too long for Windows
                    raise
            self.release(here)
            time.sleep(PAUSE)

    def take(self, name: str) -> bool:
        """Claim something, unless somebody alive has it."""
        path = self._path(name)
        if not _create(path):
            if _living(path, _now(self.folder)) is not None:
                return False
            path.unlink(missing_ok=True)
            if not _create(path):
                return False
        self._held[path] = None
        return True

    def release(self, name: str) -> None:
        """Give back what was claimed."""
        self._held.pop(self._path(name), None)
        with suppress(OSError):  # such as on Windows while somebody reads it; it is dead when we are
            self._path(name).unlink(missing_ok=True)

    def leave(self) -> None:
        """Give everything back."""
        self._left.set()
        for path in list(self._held):
            self.release(path.stem)

    def is_alone(self) -> bool:
        """Whether nobody else is here."""
        return all(claim.path in self._held for claim in living_claims(self.folder))

    def sweep(self) -> None:
        """Remove what killed processes left here, unless somebody else is here."""
        # First what there is, then who is there: whoever begins a draft has been here, with a claim, before.
        left = {path for name in (".*.part", "*.claim") for path in self.folder.glob(name)} - set(self._held)
        if left and self.is_alone():
            for path in left:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.claim"

    def _refresh(self) -> None:
        while not self._left.wait(_REFRESHED_EVERY):
            for path in list(self._held):
                with suppress(OSError):
                    os.utime(path)


def living_claims(folder: Path) -> list[Claim]:
    """Return the claims in an entry whose owners live."""
    paths = sorted(folder.glob("*.claim"))
    now = _now(folder) if paths else 0.0
    return [claim for claim in (_living(path, now) for path in paths) if claim is not None]


def _create(path: Path) -> bool:
    """Make a claim's file; whether it was not there."""
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump((socket.gethostname(), os.getpid(), time.time()), file)
    except FileExistsError:
        return False
    except BaseException:  # a full disk may have room for a name and none for a line
        path.unlink(missing_ok=True)
        raise
    return True


def _living(path: Path, now: float) -> Claim | None:
    """Return a claim, or ``None`` if there is none or its owner is dead."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text, refreshed = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        host, pid, since = json.loads(text)
        claim = Claim(path, str(host), int(pid), float(since))
    except (ValueError, TypeError):  # it is being written
        claim = Claim(path, since=refreshed)
    is_gone = claim.host == socket.gethostname() and not _runs(claim.pid)
    return None if is_gone or now - refreshed > _DEAD_AFTER else claim


def _runs(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # there this call would end the process; that a dead claim is not refreshed is enough
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _now(folder: Path) -> float:
    """Return the time by the clock that stamps files there, which on a network disk is not this machine's."""
    try:
        # Not in the entry itself: the time of its folder says when it was last used.
        with tempfile.TemporaryFile(dir=folder.parent) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # a disk that can only be read
        return time.time()
