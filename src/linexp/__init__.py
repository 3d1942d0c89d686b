"""Explain the single neurons of a vision network as short weighted sums of concepts, and score the explanations.

The public names, in the order of the pipeline. Each is imported when it is first used, so that ``import linexp``
and the command line's ``--help`` stay light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from linexp._version import __version__

if TYPE_CHECKING:
    from linexp._checks import DifferentImagesError, NotConvergedWarning, StoreMismatchError
    from linexp.images import (
        HuggingFaceImages,
        ImageArray,
        ImageFiles,
        ImageFolder,
        Images,
        ImageSubset,
        find_broken,
    )

_HOMES = {
    "linexp._checks": ("DifferentImagesError", "NotConvergedWarning", "StoreMismatchError"),
    "linexp.images": (
        "HuggingFaceImages",
        "ImageArray",
        "ImageFiles",
        "ImageFolder",
        "ImageSubset",
        "Images",
        "find_broken",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'linexp' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
