"""The folder of one key: ``manifest.json``, claims, and one safetensors file for each shard that is complete.

The name of a shard's file carries the SHA-256 of its bytes, and inside it says which rows of which entry it holds:
a file that rotted, was cut short, or belongs elsewhere is never taken for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from linexp._internal.files import write_atomically
from linexp._internal.version import __version__
from linexp.store.key import KIND, Key, entry_name

MANIFEST = "manifest.json"
ENTRY = re.compile(rf"{KIND}-[0-9a-f]{{64}}")
_SHARD = re.compile(r"(\d{5,})-([0-9a-f]{64})\.safetensors")


class DamagedError(Exception):
    """A file does not hold what it should; the text says which and why."""


def shard_files(folder: Path) -> dict[int, list[Path]]:
    """Return the files of an entry's shards by their number; usually one each."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        match = _SHARD.fullmatch(path.name)
        if match:
            found.setdefault(int(match[1]), []).append(path)
    return found


def has_shard(folder: Path, number: int) -> bool:
    """Say whether a shard is complete."""
    # Looked up for every shard that is made; among 10,000 files this takes 3 ms, and shard_files five times as long.
    return any(name.startswith(f"{number:05}-") for name in os.listdir(folder))


def read_shard(path: Path, entry: str, rows: range, names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Return what is in a shard, once it has proved to be the right one and undamaged.

    Raises
    ------
    DamagedError
        It is not.
    FileNotFoundError
        Somebody has removed it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{path.name[:5]}: {error.strerror or error}") from error
    match = _SHARD.fullmatch(path.name)
    if match is None or hashlib.sha256(content).hexdigest() != match[2]:
        raise DamagedError(f"{path.name[:5]}: its checksum differs")
    try:
        if _told(content) != {"entry": entry, "rows": [rows.start, rows.stop]}:
            raise DamagedError(f"{path.name[:5]}: it holds other rows or belongs to another entry")
        tensors = load(content)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DamagedError(f"{path.name[:5]}: {error}") from error
    if (names is not None and set(tensors) != set(names)) or any(len(one) != len(rows) for one in tensors.values()):
        raise DamagedError(f"{path.name[:5]}: it holds other matrices")
    return tensors


def write_shard(folder: Path, entry: str, number: int, rows: range, tensors: Mapping[str, Tensor]) -> None:
    """Write a shard so that it is there whole or not at all."""
    told = json.dumps({"entry": entry, "rows": [rows.start, rows.stop]}, sort_keys=True)
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, {"linexp": told})
    digest = hashlib.sha256(content).hexdigest()
    _write(folder / f"{number:05}-{digest}.safetensors", content)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return an entry's manifest, once it has proved to be of this folder.

    Raises
    ------
    DamagedError
        It is missing, damaged or of another entry.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if entry_name(manifest["identity"]) != folder.name:
            raise DamagedError(f"{MANIFEST}: it belongs to another entry or was changed")
        return cast("dict[str, Any]", manifest)
    except OSError as error:
        raise DamagedError(f"{MANIFEST}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{MANIFEST}: it cannot be read") from error


def write_manifest(folder: Path, key: Key) -> None:
    """Describe an entry: everything its key is made of, and what a list shall call it."""
    manifest = {"linexp": __version__, "identity": key.identity, "about": dict(key.about)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True)
    _write(folder / MANIFEST, f"{text}\n".encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole; whoever writes another of this name writes the same."""
    try:
        write_atomically(path, content)
    except FileNotFoundError:  # this machine slept, and somebody who took us for dead has swept
        write_atomically(path, content)
    except PermissionError:  # on Windows nothing takes the place of a file that somebody reads
        if not path.exists():
            raise


def _told(content: bytes) -> Any:
    """Return what a shard says about itself in its header."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["linexp"])
