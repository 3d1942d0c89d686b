"""One at a time: a lock that dies with its process, so that none is ever stale."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_threads: dict[str, threading.Lock] = {}  # the system's lock knows processes, not threads


_guard = threading.Lock()


class InUseError(OSError):
    """Somebody else holds the lock, and it was asked for without waiting."""


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None) -> Generator[None, None, None]:
    """Hold the lock on a file, which is made if needed together with its folder.

    Parameters
    ----------
    path
        The file.
    waiting
        Called if somebody else holds it, before waiting for them. ``None``: do not wait.

    Raises
    ------
    InUseError
        Somebody holds it and ``waiting`` is ``None``.
    OSError
        The file cannot be made, or this system has no such locks.
    """
    with _guard:
        own = _threads.setdefault(os.path.realpath(path), threading.Lock())
    if not own.acquire(blocking=False):
        _announce(path, waiting)
        own.acquire()
    try:
        handle = _acquire(path, waiting)
        try:
            yield
        finally:
            os.close(handle)
    finally:
        own.release()


def _acquire(path: Path, waiting: Callable[[], None] | None) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except FileNotFoundError:
            if path.parent.parent.is_dir():
                continue  # somebody removed the entry between the two lines
            raise
        try:
            _lock(handle, path, waiting)
            if _is_still(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was removed while we waited, and somebody else may hold its successor


def _lock(handle: int, path: Path, waiting: Callable[[], None] | None) -> None:
    if sys.platform == "win32":
        raise OSError("this system has no POSIX locks")
    import fcntl

    try:
        # Not flock: processes that decode would inherit it and keep it after the death of this one.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        _announce(path, waiting)
        fcntl.lockf(handle, fcntl.LOCK_EX)


def _announce(path: Path, waiting: Callable[[], None] | None) -> None:
    if waiting is None:
        raise InUseError(f"'{path.parent}' is in use.")
    waiting()


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
