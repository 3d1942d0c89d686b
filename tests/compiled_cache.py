"""Where compiled loops are kept during tests: a folder for each state of the files they are in.

numba looks only at the file a function is in, so of an edited ``least_squares.py`` the callers in other files would go
on with the old code, and tests would judge what is not there any more.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".pytest_cache" / "numba"


def cache_folder() -> Path:
    """Return the folder for the sources as they are; those for others are emptied out."""
    package = ROOT / "src" / "linexp"
    sources = [*sorted((package / "solve").glob("*.py")), package / "_internal" / "compiled.py"]
    digest = hashlib.sha256(b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in sources))
    folder = PLACE / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)  # first, so that two runs at once leave each other's alone
    for other in PLACE.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder
