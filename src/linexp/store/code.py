"""Whose code something is, and what identifies code: of libraries their version, of your own what it says."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

RESULTS = 2
"""Raise it whenever linexp records or embeds otherwise than before: what was stored until then is computed anew."""


# What Python adds to a class, or notes about it, and what does not change what the class does.
_NOT_CODE = frozenset(
    (
        *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__firstlineno__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
        *("__conditional_annotations__", "__static_attributes__", "__slots__", "__match_args__"),
        *("_abc_impl", "__abstractmethods__", "__orig_bases__", "__parameters__"),
    )
)


@cache
def library(module: str) -> str | None:
    """Return "name version" of the library a module belongs to; ``None`` if it is the user's own code."""
    top = module.partition(".")[0]
    if top == "linexp":
        return f"linexp {RESULTS}"
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    # A package spread over several folders has no file of its own.
    file = getattr(sys.modules.get(top), "__file__", None) or getattr(sys.modules.get(module), "__file__", None)
    if file is None or not _is_installed(Path(file), top):
        return None
    return f"{top} {_version(top, Path(file))}"


def code_parts(code: CodeType) -> tuple[Any, ...]:
    """Return what a function's code does, without where it stands in which file."""
    return (code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)


def globals_of(function: FunctionType) -> dict[str, Any]:
    """Return the global names that a function, or one defined inside it, may read, with their values."""
    names = {name for code in _nested(function.__code__) for name in code.co_names}
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}


def class_parts(cls: type) -> dict[str, Any]:
    """Return the functions and constants in the body of a class."""
    return {name: value for name, value in vars(cls).items() if name not in _NOT_CODE}


def file_digest(module: ModuleType) -> str:
    """Return the SHA-256 of a module's file."""
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _is_installed(file: Path, top: str) -> bool:
    """Whether a package was put there by an installer: beside it lie the installer's notes."""
    inside = [parent.parent for parent in file.parents if parent.name == top]
    return next((inside[-1] if inside else file.parent).glob("*.dist-info"), None) is not None


def _version(top: str, file: Path) -> str:
    version = getattr(sys.modules[top], "__version__", None)
    if isinstance(version, str):
        return version
    found = [metadata.version(name) for name in sorted(set(metadata.packages_distributions().get(top, ())))]
    return " ".join(found) or hashlib.sha256(file.read_bytes()).hexdigest()
