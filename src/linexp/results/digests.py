"""What was in the pictures of a folder when they were last read, kept beside the store: it saves time and no more.

A digest that is kept counts for a file that looks the same to the system, its own time of change included (see
``FilePictures``); any other file is read. A file of digests that is damaged is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from linexp._internal.checks import listing
from linexp._internal.files import write_atomically
from linexp._internal.progress import progress_bar
from linexp.images import ImageFolder, Images, Seen, find_broken, skip_broken

FOLDER = "pictures"
_FORMAT = 1


def recall_digests(images: ImageFolder, store: Path | None) -> None:
    """Let a folder know what is kept of it; ``store``: folder of the store, or ``None`` for none."""
    if store is None:
        return
    try:
        checksum, _, body = _path(images, store).read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() == checksum:
            told: dict[str, Any] = json.loads(body)
            if told["format"] == _FORMAT:
                images.learn(
                    {name: Seen(tuple(mark), bytes.fromhex(one)) for name, (one, *mark) in told["files"].items()}
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def keep_digests(images: ImageFolder, store: Path | None) -> None:
    """Keep what a folder knows of its files; where that cannot be written, they are read again next time."""
    if store is None or not images.known:
        return
    files = {name: [seen.digest.hex(), *(seen.mark or ())] for name, seen in sorted(images.known.items())}
    told = {"format": _FORMAT, "folder": os.path.realpath(images.folder), "files": files}
    body = json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()
    content = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    path = _path(images, store)
    with suppress(OSError):
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)


def only_readable(
    images: ImageFolder, *, workers: int | None = None, leave_out: bool = False, store: Path | None = None
) -> Images:
    """Look at every picture before the long work: name the broken ones, or leave them out if asked to.

    Every file is read, and what was in it is kept in the folder of the store: later commands need not read those that
    are still the same.

    Raises
    ------
    OSError
        A picture cannot be read, and is not to be left out.
    """
    with progress_bar("checking", len(images)) as advance:
        broken = find_broken(images, workers=workers, progress=advance)
    keep_digests(images, store)
    if broken and not leave_out:
        names = [f"'{images.name(row)}' ({reason})" for row, reason in broken.items()]
        raise OSError(
            f"{len(broken)} of {len(images)} pictures cannot be read: {listing(names, 5)}. "
            "Remove them, or leave them out with --skip-broken."
        )
    return skip_broken(images, broken) if broken else images


def _path(images: ImageFolder, store: Path) -> Path:
    place = os.fsencode(os.path.realpath(images.folder))
    return store / FOLDER / f"{hashlib.sha256(place).hexdigest()[:32]}.json"
