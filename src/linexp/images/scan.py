"""Find the picture files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linexp._internal.checks import closest

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)
"""What a picture file's name ends with, in small or capital letters."""


_MOST_LINKS = 2


def find_pictures(folder: Path) -> list[str]:
    """Return the paths of all pictures below ``folder``, relative to it, with "/" on every system, sorted.

    Names that start with a dot and ``__MACOSX`` are left out. Links are followed, but not back to a folder they are in,
    and links to folders not through more than ``_MOST_LINKS`` of them: a few dozen folders full of links to each other
    would otherwise be listed for ever.
    """
    try:
        return sorted(_walk(str(folder), "", (), 0))
    except RecursionError:
        raise ValueError(
            f"'{folder}' holds folders hundreds of levels deep. Give the folder that holds the pictures."
        ) from None


def check_folder(folder: Path) -> None:
    """Raise a clear ``OSError`` unless ``folder`` is one."""
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(
            f"'{folder}' is a file, not a folder. "
            "Give the folder that holds the images, or a list of paths (ImageFiles)."
        )
    raise FileNotFoundError(
        f"There is no folder '{folder}'.{closest(folder.name, _siblings(folder))} Give an existing folder of images."
    )


def _walk(folder: str, prefix: str, parents: tuple[str, ...], n_links: int) -> Iterator[str]:
    here = os.path.realpath(folder)
    if here in parents:  # a link to a folder around it would be followed for ever
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir():
                links = n_links + entry.is_symlink()
                if links <= _MOST_LINKS:
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", (*parents, here), links)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                yield prefix + entry.name


def _siblings(folder: Path) -> list[str]:
    parent = folder.absolute().parent
    return [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
