"""What is in the images, whatever they are called: the part of a store's key that names and times cannot be."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from linexp.images.base import Images, ImageSubset, content_of_image
from linexp.images.reading import reason_of, unreadable
from linexp.progress import progress_bar

# Hashing runs beside other threads; more of them than this wait for the disk.
_MOST_THREADS = 8
_PIECE = 256
# Fewer images than this are read before a line about it could be.
_WORTH_SHOWING = 5_000


def content_fingerprint(images: Images, *, show_progress: bool = True) -> str:
    """Return the SHA-256 of what is in all images, in their order.

    Unlike ``images.fingerprint`` it reads every file: names and times of change do not count, every byte does. A
    collection of yours may have a method ``content(index) -> bytes`` that identifies one image; without it the decoded
    pixels are hashed.

    Raises
    ------
    OSError
        An image cannot be read.
    """
    digest = hashlib.sha256(f"{len(images)} images".encode())
    whole = images.images if isinstance(images, ImageSubset) else images
    is_quick = callable(getattr(whole, "content", None))
    n_threads = min(_MOST_THREADS, os.cpu_count() or 1) if is_quick else 1  # decoding need not bear threads
    one = partial(content_of_image, images)
    show = show_progress and len(images) >= _WORTH_SHOWING
    with ThreadPoolExecutor(n_threads) as pool, progress_bar("hashing", len(images), show=show) as advance:
        for start in range(0, len(images), _PIECE):
            rows = range(start, min(start + _PIECE, len(images)))
            for found in pool.map(one, rows) if n_threads > 1 else map(one, rows):
                digest.update(found)
            advance(len(rows))
    return digest.hexdigest()


def content_of_file(path: Path) -> bytes:
    """Return the SHA-256 of a file of pictures."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise OSError(unreadable(str(path), reason_of(error))) from error
    return digest.digest()
