"""What modules return: tensors, alone or in tuples, mappings and model outputs; which of them have an image axis."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten  # pyright: ignore[reportPrivateUsage]

from linexp._internal.checks import closest, listing

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


def first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor inside a layer's output, or ``None``."""
    return next((tensor for _, tensor in named_tensors(output)), None)


def choose_tensor(output: Any, which: Output, layer: str) -> tuple[str | None, Tensor | None]:
    """Return the tensor that is meant, with its name; the name is ``None`` where there is no other.

    ``which`` is a name as ``named_tensors`` gives it, or the beginning of one; or a place among the tensors; ``None``:
    the first. One that is not there is a ``ValueError`` that lists those that are.
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


class Absent(NamedTuple):
    """The shape and kind of a tensor that nothing behind the layer reads, so that it is not kept."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Tree(NamedTuple):
    """The parts of what a module returned, and how to put them together again."""

    parts: list[Any]
    spec: TreeSpec

    def together(self, parts: Sequence[Any]) -> Any:
        """Return the same structure with other parts."""
        return tree_unflatten(parts, self.spec)


def take_apart(output: Any) -> Tree:
    """Return the parts of what a module returned, in order."""
    return Tree(*tree_flatten(output))


def grows(small: Any, large: Any, n_small: int, n_large: int) -> bool:
    """Whether a part's first axis goes with the number of images, judged by two batches."""
    if not (isinstance(small, Tensor) and isinstance(large, Tensor) and small.ndim and large.ndim):
        return False
    return small.shape[0] != large.shape[0] and small.shape[0] * n_large == large.shape[0] * n_small


def keep(part: Any, *, needed: bool) -> Any:
    """Return a part as it is now, safe from in-place changes; or only its shape."""
    if not isinstance(part, Tensor):
        return part
    return part.detach().clone() if needed else Absent(tuple(part.shape), part.dtype, part.device)


def tile(part: Any, n_tiles: int, filler: float, *, per_image: bool) -> Any:
    """Return a copy of a part, repeated along the images; an absent one is filled without using memory."""
    if isinstance(part, Absent):
        first, *rest = part.shape
        whole = torch.full([1] * len(part.shape), filler, dtype=part.dtype, device=part.device)
        return whole.expand(first * (n_tiles if per_image else 1), *rest)
    if not isinstance(part, Tensor):
        return part
    return part.repeat(n_tiles, *[1] * (part.ndim - 1)) if per_image else part.clone()


def pick(part: Any, rows: Int[Tensor, " picked"], n_images: int, *, per_image: bool) -> Any:
    """Return what a part says about some images; one may be picked more than once."""
    if not per_image or not isinstance(part, (Absent, Tensor)):
        return part
    n_each = part.shape[0] // n_images
    if isinstance(part, Absent):
        return part._replace(shape=(n_each * len(rows), *part.shape[1:]))
    # index_select lays rows out in the plain way, in which most convolutions behind the layer are slower on a CPU.
    channels_last = part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last)
    if n_each == 1:
        picked = part.index_select(0, rows)
    else:
        picked = part.unflatten(0, (n_images, n_each)).index_select(0, rows).flatten(0, 1)
    return picked.contiguous(memory_format=torch.channels_last) if channels_last else picked
