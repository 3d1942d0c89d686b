"""What is in the images, whatever they are called."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from linexp._internal.progress import progress_bar
from linexp.images.base import Images, ImageSubset, content_of_image

# Hashing runs beside other threads; more of them than this wait for the disk.
_MOST_THREADS = 8
# A pool takes up all the work it is given at once: not that of a million images.
_PIECE = 256
# Fewer images than this are read before a line about it could be.
_WORTH_SHOWING = 5_000


def content_fingerprint(images: Images, *, show_progress: bool = True) -> str:
    """Return the SHA-256 of what is in all images, in their order.

    Names and times of change do not count, every byte does. A collection of yours may have a method
    ``content(index) -> bytes`` that identifies one image; without it the decoded pixels are hashed.

    Raises
    ------
    OSError
        An image cannot be read.
    """
    digest = hashlib.sha256(f"{len(images)} images".encode())
    for found in contents_of(images, show_progress=show_progress):
        digest.update(found)
    return digest.hexdigest()


def contents_of(images: Images, *, show_progress: bool = True) -> list[bytes]:
    """Return what identifies each image; of files their SHA-256, read where it is not known yet."""
    whole, rows = (images.images, images.rows) if isinstance(images, ImageSubset) else (images, range(len(images)))
    recall = getattr(whole, "recall", None)
    found: list[bytes | None] = [recall(row) if callable(recall) else None for row in rows]  # pyright: ignore[reportAssignmentType]
    missing = [place for place, one in enumerate(found) if one is None]
    is_quick = callable(getattr(whole, "content", None))
    n_threads = min(_MOST_THREADS, os.cpu_count() or 1) if is_quick else 1  # decoding need not bear threads
    one = partial(content_of_image, images)
    show = show_progress and len(missing) >= _WORTH_SHOWING
    with ThreadPoolExecutor(n_threads) as pool, progress_bar("hashing", len(missing), show=show) as advance:
        for start in range(0, len(missing), _PIECE):
            places = missing[start : start + _PIECE]
            for place, content in zip(places, pool.map(one, places) if n_threads > 1 else map(one, places)):  # noqa: B905
                found[place] = content
            advance(len(places))
    return [content for content in found if content is not None]
