"""The content of a model, a function or a setting as a SHA-256: what it is, never what it is called.

Two objects have the same one if they hold the same numbers, the same settings and the same code. Of a class or
function of a library the version of the library counts; of your own code the compiled code, its constants, closures,
defaults and the globals it reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from linexp.store.code import class_parts, code_parts, file_digest, globals_of, library

# The attributes every module has; besides parameters, buffers and children they hold what others have hooked into it.
_OF_MODULES = frozenset(vars(nn.Module())) - {"training"}
_MOST_THREADS = 8
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))


class UnknownContentError(ValueError):
    """An object on which a result depends cannot be described by its content, so the result cannot be stored."""


def content_of(value: Any, what: str) -> str:
    """Return the SHA-256 of the content of anything.

    Parameters
    ----------
    value
        Numbers, text, containers, tensors, modules, functions, objects with attributes.
    what
        What it is called in a message, such as "preprocess".

    Raises
    ------
    UnknownContentError
        It holds something without a content that lasts, such as an open file or a lock.
    """
    return _Reader().digest(value, what).hex()


def weights_of(module: nn.Module) -> str:
    """Return the SHA-256 of a module's parameters and buffers: names, types, shapes and bytes."""
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    names = sorted(named)
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(_Reader().digest, (named[name] for name in names), (f"model.{name}" for name in names)))
    return _hash(*(part for pair in zip(names, parts, strict=True) for part in pair)).hex()


def model_of(module: nn.Module) -> str:
    """Return the SHA-256 of everything else about a module: its structure, its settings, its code."""
    return _Reader({id(tensor) for tensor in (*module.parameters(), *module.buffers())}).digest(module, "model").hex()


class _Reader:
    """Goes through an object; ``elsewhere``: the tensors whose values count somewhere else."""

    def __init__(self, elsewhere: set[int] | None = None) -> None:
        self.elsewhere = elsewhere or set()
        self._known: dict[tuple[int, bool], bytes] = {}
        self._open: set[int] = set()
        self._kept: list[Any] = []  # so that no two objects get the same id

    def digest(self, value: Any, where: str, *, strict: bool = True) -> bytes:
        """Return the content of one object; if not ``strict`` the type stands for what has none."""
        if isinstance(value, _PLAIN):
            return _hash(type(value).__qualname__, repr(value).encode(errors="backslashreplace"))
        known = self._known.get((id(value), strict))
        if known is not None:
            return known
        if id(value) in self._open:
            return _hash("circle", _name(type(value)))
        self._open.add(id(value))
        self._kept.append(value)
        try:
            found = self._parts(value, where, strict)
        except UnknownContentError:
            if strict:
                raise
            found = _hash("unknown", _name(type(value)))
        finally:
            self._open.discard(id(value))
        self._known[id(value), strict] = found
        return found

    def _parts(self, value: Any, where: str, strict: bool) -> bytes:
        if isinstance(value, Tensor):
            return self._tensor(value, where)
        if isinstance(value, np.ndarray) and value.dtype != object:
            return _hash("array", f"{value.dtype.str} {value.shape}".encode(), np.ascontiguousarray(value).tobytes())
        if isinstance(value, nn.Module):
            return self._module(value, where, strict)
        if isinstance(value, type):
            return self._class(value, where)
        if isinstance(value, FunctionType):
            return self._function(value, where, strict)
        if isinstance(value, MethodType):
            return self._all("method", where, strict, value.__self__, value.__func__)
        if isinstance(value, BuiltinFunctionType):
            owner = value.__self__ if not isinstance(value.__self__, ModuleType) else None
            return self._all("builtin", where, strict, value.__name__, value.__module__, owner)
        if isinstance(value, CodeType):
            return self._all("code", where, strict, *code_parts(value))
        if isinstance(value, ModuleType):
            return self._all("module", where, strict, library(value.__name__) or file_digest(value), value.__name__)
        if isinstance(value, (staticmethod, classmethod)):
            return self._all(type(value).__name__, where, strict, value.__func__)
        if isinstance(value, property):
            return self._all("property", where, strict, value.fget, value.fset)
        return self._container(value, where, strict)

    def _container(self, value: Any, where: str, strict: bool) -> bytes:
        kind = self.digest(type(value), where, strict=False)
        if isinstance(value, (list, tuple)):
            items = cast("tuple[Any, ...]", value)
            return _hash(kind, *(self.digest(one, f"{where}[{i}]", strict=strict) for i, one in enumerate(items)))
        if isinstance(value, (set, frozenset)):
            members = cast("frozenset[Any]", value)
            return _hash(kind, *sorted(self.digest(one, where, strict=strict) for one in members))
        if (type(value) is dict or type(value).__module__ == "collections") and isinstance(value, Mapping):
            return _hash(kind, *self._items(cast("Mapping[Any, Any]", value), where, strict))
        if isinstance(value, Enum):
            return self._all("member", where, strict, kind, value.name)
        if isinstance(value, PurePath):
            return self._all("path", where, strict, kind, str(value))
        if isinstance(value, partial):
            return self._all("partial", where, strict, value.func, value.args, value.keywords)
        return self._object(value, where, strict)

    def _object(self, value: Any, where: str, strict: bool) -> bytes:
        """Describe an object as it would be copied: by how it is made and its state."""
        try:
            how = value.__reduce_ex__(4)
        except Exception as error:
            if hasattr(value, "__dict__") and not hasattr(type(value), "__getstate__"):
                return self._all("object", where, strict, type(value), vars(value))
            raise UnknownContentError(
                f"{where} is a {type(value).__qualname__}, of which nobody can say whether it is the same in another "
                "run, so that no result that depends on it can be stored. Work without a store, or without that object."
            ) from error
        if isinstance(how, str):
            own = getattr(value, "__wrapped__", None)  # what a cache or the like was put around
            return self._all("named", where, strict, library(type(value).__module__), _name(type(value)), how, own)
        make, arguments, *rest = how
        state, items, pairs = (*rest, None, None, None)[:3]
        return self._all("object", where, strict, make, arguments, state, list(items or ()), dict(pairs or ()))

    def _module(self, module: nn.Module, where: str, strict: bool) -> bytes:
        parts = [self.digest(type(module), where, strict=False)]
        for name, value in vars(module).items():
            inside = f"{where}.{name}"
            if name not in _OF_MODULES and name != "training":
                parts.append(_hash(name, self.digest(value, inside, strict=strict)))
            elif name in _OF_MODULES and isinstance(value, dict):
                # In their order, which is that of a Sequential. What is hooked in has a number, which means nothing.
                parts += [
                    _hash(
                        name,
                        str(key) if isinstance(key, str) else "",
                        self.digest(one, f"{where}.{key}", strict=strict),
                    )
                    for key, one in cast("dict[Any, Any]", value).items()
                ]
        return _hash("Module", *parts)

    def _class(self, cls: type, where: str) -> bytes:
        home = library(cls.__module__)
        if home is not None:
            return _hash("class", home, _name(cls))
        bases = [self.digest(base, where, strict=False) for base in cls.__bases__]
        return _hash("own class", cls.__qualname__, *bases, *self._items(class_parts(cls), where, strict=False))

    def _function(self, function: FunctionType, where: str, strict: bool) -> bytes:
        held = [self._cell(cell, where, strict) for cell in function.__closure__ or ()]
        held.append(self.digest((function.__defaults__, function.__kwdefaults__), where, strict=strict))
        home = library(function.__module__ or "")
        if home is not None:
            code = self.digest(function.__code__, where) if "<" in function.__qualname__ else b""
            return _hash("function", home, function.__module__, function.__qualname__, code, *held)
        reads = self._items(globals_of(function), where, strict=False)
        return _hash("own function", self.digest(function.__code__, where), *held, *reads)

    def _cell(self, cell: Any, where: str, strict: bool) -> bytes:
        try:
            return self.digest(cell.cell_contents, where, strict=strict)
        except ValueError as error:
            if isinstance(error, UnknownContentError):
                raise
            return b"empty"

    def _tensor(self, tensor: Tensor, where: str) -> bytes:
        if id(tensor) in self.elsewhere:
            return _hash("weight", f"{tensor.dtype} {tuple(tensor.shape)}")
        try:
            return _tensor(tensor)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise UnknownContentError(
                f"{where} is a tensor of {tensor.dtype} ({tensor.layout}), whose bytes cannot be read. "
                "Work without a store."
            ) from error

    def _items(self, items: Mapping[Any, Any], where: str, strict: bool) -> list[bytes]:
        found = (
            (self.digest(key, where, strict=strict), self.digest(value, f"{where}.{key}", strict=strict))
            for key, value in items.items()
        )
        return [_hash(*pair) for pair in sorted(found)]

    def _all(self, kind: str, where: str, strict: bool, *values: Any) -> bytes:
        return _hash(kind, *(self.digest(value, where, strict=strict) for value in values))


def _tensor(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return _hash("tensor", f"{tensor.dtype} {tuple(tensor.shape)}", flat.view(torch.uint8).numpy().data)


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _hash(*parts: Any) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
