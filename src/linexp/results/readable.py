"""Pictures are looked at before the long work."""

from __future__ import annotations

from pathlib import Path

from linexp._internal.checks import listing
from linexp._internal.progress import progress_bar
from linexp.images import ImageFolder, Images, find_broken, skip_broken
from linexp.results.digests import keep_digests


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
