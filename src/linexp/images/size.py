"""How large pictures are, without decoding those in files."""

from __future__ import annotations

from pathlib import Path

from linexp.images.base import Images, ImageSubset
from linexp.images.file_contents import FilePictures
from linexp.images.reading import read_size


def size_of(images: Images, index: int) -> tuple[int, int]:
    """Return width and height of an upright picture.

    Raises
    ------
    OSError
        It cannot be read.
    """
    whole, row = (images.images, images.rows[index]) if isinstance(images, ImageSubset) else (images, index)
    return read_size(Path(whole.path_of(row))) if isinstance(whole, FilePictures) else whole[row].size
