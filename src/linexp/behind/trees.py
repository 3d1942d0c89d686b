"""What modules return: tensors, alone or in tuples, mappings and model outputs; which of them have an image axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten  # pyright: ignore[reportPrivateUsage]


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
    channels_last = part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last)
    if n_each == 1:
        picked = part.index_select(0, rows)
    else:
        picked = part.unflatten(0, (n_images, n_each)).index_select(0, rows).flatten(0, 1)
    return picked.contiguous(memory_format=torch.channels_last) if channels_last else picked
