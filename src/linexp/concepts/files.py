"""The small files people write by hand: what classes are called, and which belong together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from linexp._checks import decode_text, listing
from linexp.images import ImageFolder

_FORM = 'Write it as {"animal": ["cat", "dog"]}.'


def read_groups(path: Path) -> Mapping[str, Any]:
    """Read groups of classes from JSON: an object from each group's name to a list of its members (or an object again).

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        The file is not JSON, not an object, or names a group twice.
    """
    text = _read_text(path, "groups")
    try:
        groups: Any = json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise ValueError(f"'{path}' names the group '{error}' twice. Keep one of the two.") from error
    except RecursionError:
        raise ValueError(f"'{path}' is nested too deeply to be groups of classes. {_FORM}") from None
    except ValueError as error:  # also a number of more digits than Python reads
        raise ValueError(f"'{path}' is not JSON ({str(error).partition(';')[0]}). {_FORM}") from error
    if not isinstance(groups, dict) or not groups:
        held = f"a {type(groups).__name__}" if groups else "no group"
        raise ValueError(f"'{path}' holds {held}. {_FORM}")
    return cast("dict[str, Any]", groups)


def read_class_names(path: Path) -> dict[str, str]:
    """Read lines of folder name, tab, class name; empty lines are ignored.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        A line is not like that, or gives a folder a second name.
    """
    names: dict[str, str] = {}
    text = _read_text(path, "class names").replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        folder, _, name = (part.strip() for part in line.partition("\t"))
        if not line.strip():
            continue
        if not folder or not name:
            raise ValueError(f"Line {number} of '{path}' is {line!r}. Write folder, tab, name.")
        if names.setdefault(folder, name) != name:
            raise ValueError(
                f"Line {number} of '{path}' calls the folder '{folder}' '{name}', but it was '{names[folder]}' above. "
                "Keep one name for each folder."
            )
    return names


def open_folder(path: Path, names: Mapping[str, str] | None, called: str) -> ImageFolder:
    """Open a folder of pictures, its sub-folders called by other names, if there are any.

    Raises
    ------
    OSError, ValueError
        As ``ImageFolder``; or none of the names is of a sub-folder that is there. ``called`` says in the message
        where the names are from.
    """
    folder = ImageFolder(path, names)
    classes = list(dict.fromkeys(file.partition("/")[0] for file in folder.files))
    if names is not None and folder.labels is not None and not names.keys() & set(classes):
        raise ValueError(
            f"None of the {len(names)} folders named in {called} is among the {len(classes)} of '{path}' "
            f"({listing(classes, 6)}). Write folder, tab, name on each line of a file."
        )
    return folder


class _TwiceError(ValueError):
    """A name that stands twice."""


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a member twice: JSON itself would silently keep the last."""
    found: dict[str, Any] = {}
    for name, members in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = members
    return found


def _read_text(path: Path, what: str) -> str:
    try:
        return decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}' to read {what} from. Give its path.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder. Give the file to read {what} from.") from None
