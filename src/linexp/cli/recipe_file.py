"""The file of a recipe: where it lies, and what is in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from linexp._internal.checks import closest


def find_recipe(path: Path) -> Path:
    """Return the file of a recipe: one that comes with linexp if there is no file of that name here.

    A folder is none: the recipe's own outputs lie in one of its name.
    """
    shipped = Path(__file__).parent / "recipes" / f"{path.name}.toml"
    return shipped if path.name == str(path) and shipped.is_file() and not path.is_file() else path


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe's tables and keys, unchecked.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        There is no such file.
    ValueError
        It is not TOML in UTF-8; the message says in which line and column.
    """
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder. Give a recipe, or the run.json of a result.")
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        near = [str(path.parent / other.name) for other in path.parent.glob("*.toml")]
        raise FileNotFoundError(f"There is no recipe '{path}'.{closest(str(path), near)} Give a TOML file.") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"'{path}' is not TOML: {str(error).rstrip('.')}. Correct it there.") from error
