"""Names a page may show: nothing of where the author's files lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

# An absolute path inside a text: from the root, a drive, a share or a home folder up to its last part.
_PATH = re.compile(r"(?<![\w.:/\\~])(?:~(?=[/\\])|[A-Za-z]:(?=[/\\])|(?=[/\\]))(?:[/\\]+[^/\\+,;:\"'\n]*)*[/\\]+([^/\\+,;:\"'\n]+)[/\\]?")


def hide_folders(text: str) -> str:
    """Replace each absolute path in a text by the last part of it."""
    return _PATH.sub(r"\1", text)


def picture_names(names: Sequence[str], folder: Any = None) -> tuple[str, ...]:
    """Return what a page calls each picture: its path inside ``folder``, else the last part of an absolute path."""
    return tuple(_picture_name(name, str(folder) if folder else "") for name in names)


def _picture_name(name: str, folder: str) -> str:
    path = PureWindowsPath(name) if PureWindowsPath(name).drive else PurePosixPath(name)
    if folder and path.is_relative_to(folder):
        return _as_text(path.relative_to(folder).as_posix())
    absolute = path.is_absolute() or name.startswith(("~/", "~\\", "\\"))
    return _as_text(path.name if absolute else name)


def _as_text(name: str) -> str:
    """Names of files need not be text: what is none is shown as a replacement sign."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
