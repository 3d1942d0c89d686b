"""Names a page may show: nothing of where the author's files lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

# An absolute path inside a text: from the root, a drive, a share or a home folder up to its last part. What stands
# behind "https:" is none.
_PART = r"[^/\\+,;:\"'\n]"
_PATH = re.compile(rf"(?<![\w.~/\\])(?!(?<=:)//(?!/))(?:~|[A-Za-z]:)?[/\\]+(?:{_PART}+[/\\]+)*({_PART}+)[/\\]?")


def hide_folders(text: str) -> str:
    """Replace each absolute path in a text by the last part of it."""
    return _PATH.sub(r"\1", text)


def picture_names(names: Sequence[str], folder: Any = None) -> tuple[str, ...]:
    """Return what a page calls each picture: its path inside ``folder``, else the last part of an absolute path."""
    return tuple(_picture_name(name, str(folder) if folder else "") for name in names)


def _picture_name(name: str, folder: str) -> str:
    path = PureWindowsPath(name) if PureWindowsPath(name).drive else PurePosixPath(name)
    if folder and path.is_relative_to(folder):
        return as_text(path.relative_to(folder).as_posix())
    absolute = path.is_absolute() or name.startswith(("~/", "~\\", "\\"))
    return as_text(path.name if absolute else name)


def as_text(name: str) -> str:
    """Return a text that can be written: names of files need not be text, and what is none becomes a sign for that."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
