"""A model of your own: ``package.module:function``."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from PIL import Image
from torch import Tensor, nn

from linexp._checks import closest
from linexp.models.base import VisionModel, to_unit_tensor
from linexp.models.weights import load_weights

OWN_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""What ``package.module:function`` looks like."""


def load(name: str, weights: Path | None, *, libraries: Sequence[str] = ()) -> VisionModel:
    """Make a model by a function of the user's.

    A module that comes without a transform gets `to_unit_tensor`: RGB in [0, 1] at the picture's own size.

    Parameters
    ----------
    name
        ``package.module:function``.
    weights
        A file to load into the module, or ``None``.
    libraries
        Prefixes that could have been meant where the module does not exist (``torchvison:resnet50``).
    """
    model = _as_model(make(name, libraries=libraries), name)
    if weights is not None:
        load_weights(model.module, weights)
    model.module.eval()
    return model


def make(name: str, *, libraries: Sequence[str] = ()) -> Any:
    """Import the module of ``package.module:function`` and return what the function returns, without arguments.

    The current directory becomes importable and stays so, because worker processes must find the module too.

    Raises
    ------
    ImportError
        There is no such module, or it fails when it is imported.
    ValueError
        It has no such function.
    RuntimeError
        The function fails.
    """
    home, _, function = name.partition(":")
    return _call(_find(_import(home, function, libraries), home, function), name)


def _import(home: str, function: str, libraries: Sequence[str]) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(home)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{home}.".startswith(f"{error.name}."):
            guess = closest(f"{home}:{function}", [f"{library}:{function}" for library in libraries])
            raise ModuleNotFoundError(
                f"There is no module '{home}' to import from '{folder}' or the installed packages.{guess} "
                "Run from the folder that holds it, or install its package.",
                name=error.name,
            ) from error
        raise ImportError(
            f"The module '{home}' was found and failed while it was imported ({_told(error)}). "
            f"Repair that first: python -c 'import {home}'."
        ) from error


def _find(module: ModuleType, home: str, function: str) -> Callable[[], Any]:
    known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    if not hasattr(module, function):
        raise ValueError(
            f"The module '{home}' has no function '{function}'.{closest(function, known)} "
            "Name a function without arguments that returns the model."
        )
    build = getattr(module, function)
    if isinstance(build, nn.Module) or not callable(build):
        raise ValueError(
            f"'{home}:{function}' is a {type(build).__name__} and not a function. "
            "Name a function without arguments that returns it."
        )
    return build


def _call(build: Callable[[], Any], name: str) -> Any:
    try:
        return build()
    except Exception as error:
        raise RuntimeError(
            f"The function '{name}' failed ({_told(error)}). "
            "It is called without arguments; call it in Python to see where it fails."
        ) from error


def _as_model(made: Any, name: str) -> VisionModel:
    if isinstance(made, VisionModel):
        return made
    if isinstance(made, nn.Module):
        return VisionModel(name, made, to_unit_tensor)
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
