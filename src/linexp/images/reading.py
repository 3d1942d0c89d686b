"""Open picture files, and say in one line why one cannot be read."""

from __future__ import annotations

import os
import stat
import struct
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from linexp.images.rgb import is_turned, to_rgb

_DAMAGE = (EOFError, SyntaxError, struct.error, zlib.error)
"""What Pillow lets through from the depths of its decoders."""


FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What a file may hold, whatever its name. Pillow knows more: it would give EPS, for one, to Ghostscript to run."""


@contextmanager
def reading(name: str) -> Generator[None, None, None]:
    """Turn whatever goes wrong while the image called ``name`` is read into one clear ``OSError``.

    Pillow's remarks about metadata (damaged EXIF, odd tags) are silenced, because the pixels are sound; its
    warning about a picture of suspicious size is an error, because nobody asked to decode one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except Exception as error:
        raise OSError(unreadable(name, reason_of(error))) from error


def read_rgb(path: Path) -> Image.Image:
    """Return the picture in a file, upright and in RGB; raise ``OSError`` if it is missing, damaged, or no picture."""
    with reading(str(path)):
        check_regular(path)
        with Image.open(path, formats=_known_formats()) as picture:
            return to_rgb(picture)


def read_size(path: Path) -> tuple[int, int]:
    """Return width and height of the upright picture in a file, which is not decoded; raise as ``read_rgb`` does."""
    with reading(str(path)):
        check_regular(path)
        with Image.open(path, formats=_known_formats()) as picture:
            width, height = picture.size
            return (height, width) if is_turned(picture) else (width, height)


def check_picture(file: BinaryIO) -> None:
    """Raise what decoding an open file would raise, for less work.

    A JPEG is decoded at an eighth of its size: that reads all of its data, so one cut short is still noticed.
    """
    with Image.open(file, formats=_known_formats()) as picture:
        picture.draft(None, (1, 1))
        to_rgb(picture)


def reason_of(error: BaseException) -> str:
    """Return in one line, without a full stop, why an image could not be read: what first went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnidentifiedImageError):
        return "it is not a picture in a format that linexp reads"
    if isinstance(error, _DAMAGE):
        return "its data are damaged or cut short"
    if isinstance(error, OSError):
        text = error.strerror or str(error)
    elif isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split()).rstrip(".:") or type(error).__name__


def unreadable(name: str, reason: str) -> str:
    """Return the message about an image that cannot be read."""
    return (
        f"Cannot read the image '{name}' ({reason}). "
        "Remove it, or skip broken images (skip_broken=True, --skip-broken)."
    )


def check_regular(path: Path) -> None:
    """Raise ``OSError`` unless there is a file with something in it."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError("it is a folder")
    if not stat.S_ISREG(status.st_mode):  # a pipe in an unpacked archive would be waited for for ever
        raise OSError("it is a pipe or a device, not a file")
    if status.st_size == 0:
        raise OSError("the file is empty")


@cache
def _known_formats() -> tuple[str, ...]:
    """Return those of the formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
