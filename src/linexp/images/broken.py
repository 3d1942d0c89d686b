"""Find the images of a collection that cannot be read, and leave them out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from linexp.images.base import Images, ImageSubset, check_image
from linexp.images.file_contents import FilePictures, Seen
from linexp.images.reading import reason_of
from linexp.images.workers import work_through
from linexp.store import whole

_BATCH = 32
_SHOWN = 3
_Outcome: TypeAlias = str | tuple[str, Seen] | None


def find_broken(
    images: Images, *, workers: int | None = None, progress: Callable[[int], None] | None = None
) -> dict[int, str]:
    """Decode every image and return the rows of those that cannot be read, each with the reason.

    A truncated file counts as broken, and so does a picture so large that Pillow suspects a decompression
    bomb (raise ``PIL.Image.MAX_IMAGE_PIXELS`` if it is meant to be), or so narrow that resizing would make it large.

    Parameters
    ----------
    images
        The collection.
    workers
        Processes that decode, as in ``decoded_batches``.
    progress
        Called every few images with how many more are done.
    """
    broken: dict[int, str] = {}
    n_done = 0
    rows = whole(len(images)).batches(_BATCH)
    batches = work_through(rows, len(images), partial(_look, images), list[_Outcome], workers=workers)
    try:
        for outcomes in batches:
            for row, outcome in enumerate(outcomes, n_done):
                if isinstance(outcome, str):
                    broken[row] = outcome
            _learn(images, outcomes)
            n_done += len(outcomes)
            if progress is not None:
                progress(len(outcomes))
    finally:
        batches.close()
    return broken


def skip_broken(images: Images, broken: Mapping[int, str]) -> Images:
    """Return the collection without its broken images, and say so in one ``UserWarning``.

    Parameters
    ----------
    images
        The collection.
    broken
        What ``find_broken`` returned for it. If empty, ``images`` itself is returned, silently.

    Raises
    ------
    ValueError
        No image is left.
    """
    if not broken:
        return images
    sound = [row for row in range(len(images)) if row not in broken]
    rows = sorted(broken)
    shown = ", ".join(f"'{images.name(row)}' ({broken[row]})" for row in rows[:_SHOWN])
    if len(rows) > _SHOWN:
        shown += f" and {len(rows) - _SHOWN} more"
    if not sound:
        raise ValueError(f"None of the {len(images)} images can be read: {shown}. Give other images.")
    warnings.warn(
        f"{len(rows)} of {len(images)} images cannot be read and are left out: {shown}.",
        UserWarning,
        stacklevel=2,
    )
    return ImageSubset(images, sound)


def _look(images: Images, row: int) -> _Outcome:
    """Return why an image cannot be read; or, where the collection is of files, what is in its file."""
    whole, place = (images.images, images.rows[row]) if isinstance(images, ImageSubset) else (images, row)
    try:
        if isinstance(whole, FilePictures):
            return whole.key_of(place), whole.inspect(place)
        check_image(images, row)
    except Exception as error:  # noqa: BLE001 - whatever it is, the image cannot be used
        return reason_of(error)
    return None


def _learn(images: Images, outcomes: Iterable[_Outcome]) -> None:
    """Keep what other processes found in files: they need not be read for it again."""
    whole = images.images if isinstance(images, ImageSubset) else images
    if isinstance(whole, FilePictures):
        whole.learn(dict(outcome for outcome in outcomes if isinstance(outcome, tuple)))
