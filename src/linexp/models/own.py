"""A model of your own: ``package.module:function``."""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from PIL import Image
from torch import Tensor, nn

from linexp._internal.checks import closest
from linexp.models.base import Preprocess, VisionModel
from linexp.models.weights import load_weights

OWN_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""What ``package.module:function`` looks like."""


def load(
    name: str, weights: Path | None, *, libraries: Sequence[str] = (), preprocess: Preprocess | None = None
) -> VisionModel:
    """Make a model by a function of the user's, ``package.module:function``.

    ``libraries`` are the prefixes that could have been meant where the module does not exist (``torchvison:resnet50``);
    ``preprocess`` is needed where the function returns a bare module.
    """
    model = _as_model(make(name, libraries=libraries), name, preprocess)
    if weights is not None:
        load_weights(model.module, weights)
    model.module.eval()
    return model


def make(name: str, *, libraries: Sequence[str] = ()) -> Any:
    """Import the module of ``package.module:function`` and return what the function returns, without arguments.

    Raises ``RuntimeError`` if the function fails, and what ``find`` does.
    """
    build = find(name, "a function without arguments that returns the model", libraries=libraries)
    if isinstance(build, nn.Module) or not callable(build):
        raise ValueError(
            f"'{name}' is a {type(build).__name__} and not a function. "
            "Name a function without arguments that returns it."
        )
    return _call(build, name)


def find(name: str, wanted: str = "a function from a picture to a tensor", *, libraries: Sequence[str] = ()) -> Any:
    """Import the module of ``package.module:name`` and return what it calls by that name; ``wanted`` says what that is.

    The current directory becomes importable and stays so, because worker processes must find the module too. A module
    that is not there or fails is an ``ImportError``, a name that it does not have a ``ValueError``.
    """
    home, _, inside = name.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:
        if isinstance(error, AttributeError) and home in sys.modules:  # a module that failed is not there
            known = [one for one, value in vars(sys.modules[home]).items() if callable(value) and one[0] != "_"]
            raise ValueError(
                f"The module '{home}' has no function '{inside}'.{closest(inside, known)} Name {wanted}."
            ) from error
        if isinstance(error, ModuleNotFoundError) and f"{home}.".startswith(f"{error.name}."):
            guess = closest(name, [f"{library}:{inside}" for library in libraries])
            raise ModuleNotFoundError(
                f"There is no module '{home}' to import from '{folder}' or the installed packages.{guess} "
                "Run from the folder that holds it, or install its package.",
                name=error.name,
            ) from error
        raise ImportError(
            f"The module '{home}' was found and failed while it was imported ({_told(error)}). "
            f"Repair that first: python -c 'import {home}'."
        ) from error


def _call(build: Callable[[], Any], name: str) -> Any:
    try:
        return build()
    except Exception as error:
        raise RuntimeError(
            f"The function '{name}' failed ({_told(error)}). "
            "It is called without arguments; call it in Python to see where it fails."
        ) from error


def _as_model(made: Any, name: str, preprocess: Preprocess | None) -> VisionModel:
    if isinstance(made, VisionModel):
        return made
    if isinstance(made, nn.Module):
        if preprocess is None:
            raise ValueError(
                f"The function '{name}' returns a {type(made).__name__} alone, and nothing says how pictures become "
                "its inputs. Return a pair (module, transform), with the transform it was trained with; or give "
                "--preprocess package.module:function, or --preprocess unit, which only scales to [0, 1] "
                "(preprocess= in Python)."
            )
        return VisionModel(name, made, preprocess)
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module) and callable(made[1]):
        return VisionModel(name, made[0], cast(Callable[[Image.Image], Tensor], made[1]))
    raise TypeError(
        f"The function '{name}' returned {_kind(made)}. "
        "Return a torch.nn.Module, a pair (module, transform) or a linexp VisionModel."
    )


def _kind(made: Any) -> str:
    if isinstance(made, tuple):
        return f"a tuple of {len(made)} ({', '.join(type(part).__name__ for part in made)})"
    if isinstance(made, type):
        return f"the class {made.__name__} and not an instance of it"
    return "None" if made is None else f"a {type(made).__name__}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")
