"""How pictures become inputs, by name and in words."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image
from torch import Tensor

from linexp._internal.checks import closest
from linexp.models import own
from linexp.models.base import Preprocess, to_unit_tensor

UNIT = "unit"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def find_preprocess(asked: str | Preprocess | None) -> Preprocess | None:
    """Return the preprocessing that was asked for by name, once it made a tensor of a picture; see ``load_model``."""
    if asked is None or not isinstance(asked, str):
        return asked
    if asked == UNIT:
        return to_unit_tensor
    if not own.OWN_FUNCTION.fullmatch(asked):
        raise ValueError(
            f"There is no preprocessing {asked!r}.{closest(asked, [UNIT])} Give unit, which only scales to [0, 1], or "
            "package.module:function, a function of yours from a picture to a tensor."
        )
    found = own.find(asked)
    _try(found, asked)
    return found


def _try(preprocess: Any, name: str) -> None:
    if not callable(preprocess):
        raise TypeError(f"'{name}' is a {type(preprocess).__name__}. Name a function from a picture to a tensor.")
    try:
        made = preprocess(Image.new("RGB", (256, 256), (128, 128, 128)))
    except Exception as error:
        raise ValueError(
            f"'{name}' failed on a grey picture ({type(error).__name__}: {error}). It is called with a PIL picture "
            "and must return a tensor."
        ) from error
    if not isinstance(made, Tensor):
        raise TypeError(f"'{name}' made a {type(made).__name__} of a picture. Let it return a tensor.")


def describe_preprocess(preprocess: Preprocess) -> str:
    """Return in words what preprocessing is: its settings where it tells them, else what it is called."""
    if hasattr(preprocess, "__qualname__"):
        return f"{preprocess.__module__}.{preprocess.__qualname__}"
    told = " ".join(repr(preprocess).split())
    kind = f"{type(preprocess).__module__}.{type(preprocess).__qualname__}"
    return kind if _ADDRESS.search(told) else told
