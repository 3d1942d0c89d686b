"""A layer may return several tensors: which of them is meant."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, cast

from torch import Tensor

from linexp._checks import closest, listing

Output = str | int | None
"""Name or place of a tensor in what a layer returns; ``None``: the first."""


def named_tensors(output: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors inside a layer's output with their names: places in tuples, keys, fields, joined by dots."""
    if isinstance(output, Tensor):
        yield name, output
        return
    if isinstance(output, Mapping):
        parts = [(str(key), value) for key, value in cast("Mapping[Any, Any]", output).items()]
    elif isinstance(output, (tuple, list)):
        parts = [(str(place), value) for place, value in enumerate(cast("tuple[Any, ...]", output))]
    elif is_dataclass(output):
        parts = [(field.name, getattr(output, field.name)) for field in fields(output)]
    else:
        return
    for inner, part in parts:
        yield from named_tensors(part, f"{name}.{inner}" if name else inner)


def tensors_of(output: Any) -> list[Tensor]:
    """Return all tensors inside a layer's output."""
    return [tensor for _, tensor in named_tensors(output)]


def first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor inside a layer's output, or ``None``."""
    return next((tensor for _, tensor in named_tensors(output)), None)


def choose_tensor(output: Any, which: Output, layer: str) -> tuple[str | None, Tensor | None]:
    """Return the tensor that is meant, with its name; the name is ``None`` where there is no other.

    Parameters
    ----------
    output
        What the layer returned.
    which
        A name as ``named_tensors`` gives it, or the beginning of one; or a place among the tensors. Default: the first.
    layer
        Name of the layer, for messages.

    Raises
    ------
    ValueError
        There is no such tensor; the message lists those that are there.
    """
    found = dict(named_tensors(output))
    if which is None:
        name = next(iter(found), None)
    else:
        name = _find(list(found), str(which))
        if name is None:
            raise ValueError(_missing(found, str(which), layer))
    if name is None:
        return None, None
    return (name if len(found) > 1 else None), found[name]


def remark_on(output: Any, which: Output, layer: str) -> str | None:
    """Return what must be said where a layer returns several tensors and nobody said which is meant."""
    found = dict(named_tensors(output))
    if which is not None or len(found) < 2:
        return None
    return (
        f"Layer '{layer}' returns {len(found)} tensors ({_shapes(found)} for each image); the first, "
        f"'{next(iter(found))}', is taken. Say which is meant with output= (--output)."
    )


def warn_of(remarks: Iterable[str | None]) -> None:
    """Show what ``remark_on`` returned."""
    for remark in remarks:
        if remark is not None:
            warnings.warn(remark, UserWarning, stacklevel=1)  # always this line: Python shows the same words once


@contextmanager
def remarked() -> Generator[None, None, None]:
    """Open a context in which nothing is said that ``warn_of`` has said already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Layer '.*' returns [0-9]+ tensors", category=UserWarning)
        yield


def _find(names: list[str], which: str) -> str | None:
    if names == [""]:
        return None
    for name in names:
        if name == which or name.startswith(f"{which}."):
            return name
    return names[int(which)] if which.isdecimal() and int(which) < len(names) else None


def _missing(found: Mapping[str, Tensor], which: str, layer: str) -> str:
    if list(found) == [""]:
        return f"Layer '{layer}' returns one tensor, so there is no output '{which}' to choose. Leave output out."
    if not found:
        return f"Layer '{layer}' returns no tensor, so there is no output '{which}' to choose. Choose another layer."
    return (
        f"Layer '{layer}' returns no output '{which}'.{closest(which, found)} "
        f"Choose one of: {_shapes(found)} for each image (output=, --output)."
    )


def _shapes(found: Mapping[str, Tensor]) -> str:
    return listing((f"'{name}' {list(tensor.shape[1:])}" for name, tensor in found.items()), 6)
