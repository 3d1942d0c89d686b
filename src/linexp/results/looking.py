"""What lies in a folder, looked at before any of it is read: a result, several, or the methods of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import StoreMismatchError, listing

METHODS = "methods"
"""What ``run.json`` of a comparison has, and that of a result has not: their names, which are those of folders."""


def peek(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` says, unchecked, for what may also be unknown; nothing if it cannot be read."""
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def results_in(folder: Path) -> list[Path]:
    """Return the folder itself, or the results one level deeper where it is none: several layers have one each.

    Those of a comparison are its methods, in their order.
    """
    inside = sorted(path.parent for path in folder.glob("*/run.json"))
    methods = peek(folder).get(METHODS)
    if isinstance(methods, list):
        return [folder / name for name in map(str, cast("list[Any]", methods)) if folder / name in inside]
    return [folder] if (folder / "run.json").exists() or not inside else inside


def with_methods(folders: Sequence[Path]) -> list[Path]:
    """Return folders, and in the place of a comparison those of its methods."""
    return [one for folder in folders for one in (results_in(folder) if METHODS in peek(folder) else [folder])]


def check_one(folder: Path) -> None:
    """Raise ``StoreMismatchError`` if the folder is that of a comparison, so that no method is taken for all."""
    if METHODS in peek(folder):
        raise StoreMismatchError(
            f"'{folder}' holds several methods, each a result of its own: {listing(results_in(folder))}. Give one."
        )
