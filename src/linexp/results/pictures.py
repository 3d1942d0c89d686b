"""The pictures behind a result, opened again."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from linexp._internal.checks import DifferentImagesError, StoreMismatchError
from linexp.concepts.vocabulary import OpenMojiImages
from linexp.images import OPENMOJI, ImageFolder, Images, ImageSubset, contents_of, is_openmoji
from linexp.results.digests import keep_digests, recall_digests
from linexp.results.result import Result
from linexp.results.run import Run

_REMEDY = "Say with --images where those are, or make the result anew with linexp explain."


def reopen_pictures(run: Run, folder: Path | None, store: Path | None = None) -> Images:
    """Open the pictures a result was recorded on, in its order; wherever they lie, their bytes prove it.

    Parameters
    ----------
    run
        The result.
    folder
        Where they are now; ``None``: where they were.
    store
        Folder of the store, which keeps what was in the files when they were last read; ``None``: all are read.

    Raises
    ------
    FileNotFoundError
        They are not where they were.
    DifferentImagesError
        They are others by now; the message names one.
    StoreMismatchError
        The result does not say where they were.
    """
    if not isinstance(run.settings.get("images"), str):
        raise StoreMismatchError("The result does not say where its pictures were. Make it anew with linexp explain.")
    if folder is None and is_openmoji(run.settings["images"]):
        return _redraw(run)
    before = Path(run.settings["images"])
    path = before if folder is None else folder
    if not path.is_dir():
        raise FileNotFoundError(f"There are no pictures in '{path}'. Say with --images where those of the result are.")
    found = ImageFolder(path)
    wanted = [Path(name).relative_to(before).as_posix() for name in run.image_names]
    place = {name: row for row, name in enumerate(found.files)}
    missing = [name for name in wanted if name not in place]
    if missing:
        raise _different(path, f" ('{missing[0]}' is not there)")
    images = ImageSubset(found, [place[name] for name in wanted])
    recall_digests(found, store)
    contents = contents_of(images)
    keep_digests(found, store)
    if run.contents:
        _check_contents(path, wanted, run.contents, [content.hex() for content in contents])
    if images.fingerprint == run.pictures:
        return images
    return _as_recorded(images, run, path)


def with_pictures(result: Result, folder: Path | None, store: Path | None = None) -> Result:
    """Open the pictures of a result; where they are gone and no folder was named, say so and go on without."""
    try:
        if "images" not in result.settings:
            raise FileNotFoundError("The result does not say where its pictures are. Say it with --images.")
        return replace(result, images=reopen_pictures(result, folder, store))
    except (FileNotFoundError, DifferentImagesError) as error:
        if folder is not None:
            raise
        warnings.warn(f"{error} The report of '{result.method}' has no pictures.", UserWarning, stacklevel=2)
        return result


def _redraw(run: Run) -> Images:
    """Return the drawings behind a result of the demo; which these are the package says that names them."""
    images = OpenMojiImages()
    if images.fingerprint != run.pictures:
        raise _different(Path(OPENMOJI), "; another release of them is installed, or only some were drawn")
    return images


def _check_contents(path: Path, names: Sequence[str], recorded: Sequence[str], found: Sequence[str]) -> None:
    changed = [name for name, one, other in zip(names, recorded, found, strict=True) if one != other]
    if changed:
        others = f" ({len(changed)} of {len(names)} are not)" if len(changed) > 1 else ""
        raise DifferentImagesError(
            f"The picture '{changed[0]}' in '{path}' is not the one that was recorded{others}. {_REMEDY}"
        )


def _different(path: Path, why: str) -> DifferentImagesError:
    return DifferentImagesError(f"The pictures in '{path}' are not those of the result{why}. {_REMEDY}")


class _AsRecorded(ImageSubset):
    """Pictures under the fingerprint that a result of linexp 0.1.0 has for them."""

    recorded: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identifier in the result."""
        return self.recorded or super().fingerprint


def _as_recorded(images: ImageSubset, run: Run, path: Path) -> Images:
    """Accept what linexp 0.1.0 would have accepted: it knew pictures by names, sizes and times, not by content."""
    if run.contents or run.pictures != _older_fingerprint(images):
        why = "" if run.contents else " by names, sizes and times; linexp 0.1.0 kept nothing else of them"
        raise _different(path, why)
    warnings.warn(
        f"The result was made by linexp 0.1.0, which knew pictures by names, sizes and times: that those in '{path}' "
        "have the same content is not proved.",
        UserWarning,
        stacklevel=3,
    )
    same = _AsRecorded(images, range(len(images)))
    object.__setattr__(same, "recorded", run.pictures)
    return same


def _older_fingerprint(images: ImageSubset) -> str:
    """Return what linexp 0.1.0 called the fingerprint of a folder or of a part of it."""
    folder = images.images
    assert isinstance(folder, ImageFolder)
    digest = hashlib.sha256(b"files\n")
    for file in folder.files:
        status = os.stat(folder.folder / file)
        digest.update(os.fsencode(file) + f"\0{status.st_size} {status.st_mtime_ns}\n".encode())
    if images.rows == tuple(range(len(folder))):
        return digest.hexdigest()
    part = hashlib.sha256(f"subset {digest.hexdigest()} ".encode())
    part.update(np.asarray(images.rows, dtype="<i8").tobytes())
    return part.hexdigest()
