"""What a file must not be before torch begins to read it."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

# torch itself stores tensors as they are; a packer makes them somewhat smaller, a bomb hundreds of times.
_MOST_TIMES = 20


def why_refused(path: Path) -> str | None:
    """Return what speaks against a file, to stand behind its name in a message; ``None`` if nothing does."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        packed = os.path.getsize(path)
        return f"has {packed:,} bytes and would unpack to {size:,}" if size > _MOST_TIMES * packed else None
    if tarfile.is_tarfile(path):  # in torch before 2.6 a way around weights_only
        return "is a tar archive, torch's format of before 2017"
    return None
