"""Faster ways to run a model over batches that give the same activations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from linexp.recording.fold import Pair

# A shortcut must reproduce the plain model, on the first few images, to this share of a layer's largest activation.
_TOLERANCE = 1e-4


class Shortcut(NamedTuple):
    """Batch normalisations to fold, and whether the batches have their channels last in memory.

    Such batches have the same shape and values; on a CPU most convolutions are faster on them.
    """

    pairs: list[Pair]
    channels_last: bool

    def prepare(self, batch: Tensor) -> Tensor:
        """Return the batch in the memory layout of this shortcut."""
        return batch.contiguous(memory_format=torch.channels_last) if self.channels_last else batch


NO_SHORTCUT = Shortcut([], channels_last=False)


def shortcuts(pairs: list[Pair], batch: Tensor) -> Iterator[Shortcut]:
    """Yield what may be tried, the fastest first."""
    for channels_last in (True, False):
        if channels_last and not (batch.device.type == "cpu" and batch.ndim == 4):
            continue
        if pairs:
            yield Shortcut(pairs, channels_last)
        if channels_last:
            yield Shortcut([], channels_last)


def is_close(quick: Tensor, plain: Tensor) -> bool:
    """Whether two recordings of one layer differ by rounding only."""
    same_shape = quick.shape == plain.shape
    return same_shape and bool((quick - plain).abs().max() <= _TOLERANCE * plain.abs().max())
