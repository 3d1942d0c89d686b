"""A split as a file says it: JSON, CSV, or a folder of the paper's three lists of row numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import torch

from linexp._internal.checks import closest, listing
from linexp._internal.files import decode_text, read_csv
from linexp._internal.torch_file import why_refused

PARTS = ("train", "val", "test")
_LAYOUTS = (
    'Give JSON ({"train": [0, 1], "val": [2, 3], "test": [4, 5]}), CSV with the columns part and image or row, '
    "or a folder of train_ids.pt, val_ids.pt and test_ids.pt."
)


def read_parts(path: Path, names: Sequence[str] | None) -> dict[str, list[int]]:
    """Return the row numbers of each part; ``names`` are those of the images, row by row, if they are known.

    Raises
    ------
    FileNotFoundError
        There is no such file or folder.
    ValueError
        It is of no known layout, or names an image that is not there or is several; the message says which.
    """
    if path.is_dir():
        found: Mapping[str, Sequence[Any]] = {part: _read_ids(path / f"{part}_ids.pt") for part in PARTS}
    else:
        try:
            text = decode_text(path.read_bytes(), path)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no split '{path}'. {_LAYOUTS}") from None
        found = _read_csv(path, text, names is not None) if path.suffix.lower() == ".csv" else _read_json(path, text)
    place = _Places(path, names)
    return {part: [place.of(entry) for entry in found[part]] for part in PARTS}


def _read_json(path: Path, text: str) -> Mapping[str, Sequence[Any]]:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The split '{path}' is not JSON ({error}). {_LAYOUTS}") from error
    parts = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    for part in PARTS:
        if not isinstance(parts.get(part), list):
            raise ValueError(f"The split '{path}' has no list '{part}'.{closest(part, parts)} {_LAYOUTS}")
    return parts


def _read_csv(path: Path, text: str, by_name: bool) -> Mapping[str, Sequence[Any]]:
    """Read a line for each image; with both columns, rows are taken unless the images' names are known."""
    header, lines = read_csv(text, path, _LAYOUTS)
    column = next((name for name in (("image", "row") if by_name else ("row", "image")) if name in header), None)
    if column is None or "part" not in header:
        raise ValueError(f"The split '{path}' has the columns {listing(header)}. {_LAYOUTS}")
    found: dict[str, list[Any]] = {part: [] for part in PARTS}
    for number, line in lines:
        part, entry = ((line[name] or "").strip() for name in ("part", column))
        if part and part not in found:
            raise ValueError(
                f"Line {number} of '{path}': the part is '{part}'.{closest(part, PARTS)} "
                "Write train, val or test, or nothing for an image that takes no part."
            )
        if part:
            found[part].append(_row(path, number, entry) if column == "row" else line[column] or "")
    return found


def _row(path: Path, number: int, text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"Line {number} of '{path}': the row is '{text}'. Number the images from 0.")
    return int(text)


def _read_ids(path: Path) -> Sequence[Any]:
    """Read one of the paper's files, a tensor or a list of row numbers; nothing in it is run."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'. {_LAYOUTS}")
    refused = why_refused(path)
    if refused is not None:
        raise ValueError(f"The file '{path}' {refused}. {_LAYOUTS}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # on a file that is not its own, torch's reader fails in a dozen ways
        raise ValueError(f"The file '{path}' cannot be read as row numbers ({type(error).__name__}). {_LAYOUTS}") from (
            error
        )
    if isinstance(content, torch.Tensor) and _is_plain(content):
        return content.tolist()
    if isinstance(content, list | tuple):
        return cast("list[Any]", content)
    raise ValueError(f"The file '{path}' holds no list of row numbers. {_LAYOUTS}")


def _is_plain(tensor: torch.Tensor) -> bool:
    """Say whether a tensor is a line of numbers that are all there: few bytes can claim to be very many numbers."""
    if tensor.is_meta or tensor.is_nested or tensor.layout != torch.strided or tensor.ndim != 1:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


class _Places:
    """Finds the row of an image by its number, its name, or the end of its name."""

    def __init__(self, path: Path, names: Sequence[str] | None) -> None:
        self.path, self.known = path, names is not None
        self.exact: dict[str, list[int]] = {}
        self.ends: dict[str, list[int]] = {}
        for row, name in enumerate(names or ()):
            self.exact.setdefault(name, []).append(row)
            parts = name.replace("\\", "/").split("/")
            for start in range(len(parts)):
                self.ends.setdefault("/".join(parts[start:]), []).append(row)

    def of(self, entry: Any) -> int:
        if isinstance(entry, int) and not isinstance(entry, bool):
            return entry
        if not isinstance(entry, str):
            self._fail(f"holds {str(entry)[:60]!r}, neither a row number nor the name of an image")
        if not self.known:
            self._fail(f"names images ('{entry}'), and which they are is not known", "Give the images, too.")
        rows = self.exact.get(entry) or self.ends.get(entry.replace("\\", "/")) or []
        if len(rows) != 1:
            self._fail(
                f"names the image '{entry}', which is {f'{len(rows)} of the images' if rows else 'not there'}",
                "Name each by its path in the folder.",
            )
        return rows[0]

    def _fail(self, fact: str, remedy: str = _LAYOUTS) -> NoReturn:
        raise ValueError(f"The split '{self.path}' {fact}. {remedy}")
