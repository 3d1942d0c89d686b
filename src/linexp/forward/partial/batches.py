"""What a layer returned on many images: computed once and kept as far as memory allows, computed anew beyond that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.forward.outputs import Tree
from linexp.forward.partial.model import BehindLayer
from linexp.forward.partial.state import Stored

# Two gigabytes: the last feature maps of 5,000 images through a ResNet-50.
KEEP_BYTES = 2 * 2**30


class StoredBatches:
    """Iterates over the batches of some images, as often as wanted; gives the first row of each and what is stored.

    Parameters
    ----------
    behind
        The cut model.
    open_from
        Returns the batches of inputs from a row on.
    device
        Where the model is.
    keep_bytes
        How much to keep in memory; batches beyond that run through the whole model again each time.
    """

    def __init__(
        self,
        behind: BehindLayer,
        open_from: Callable[[int], Iterator[Tensor]],
        device: torch.device,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self.behind = behind
        self._open_from, self._device, self._left = open_from, device, keep_bytes
        self._kept: list[Stored] = []
        self._complete = False

    def __iter__(self) -> Iterator[tuple[int, Stored]]:
        """Yield (first row, stored) in order."""
        row = 0
        for stored in self._kept:
            yield row, stored
            row += stored.n_images
        if self._complete:
            return
        keeping = not self._kept
        for batch in self._open_from(row):
            stored = self.behind.store(batch.to(self._device))
            keeping = keeping and self._keep(stored)
            yield row, stored
            row += stored.n_images
        self._complete = keeping

    def _keep(self, stored: Stored) -> bool:
        self._left -= _size([stored.inputs, stored.output, stored.logits, *stored.before])
        if self._left >= 0:
            self._kept.append(stored)
        return self._left >= 0

    def logits(self) -> Float[Tensor, "images classes"]:
        """Return the model's own logits, in float64 on the CPU."""
        return torch.cat([stored.logits.cpu().double() for _, stored in self])


def _size(parts: list[Any]) -> int:
    sizes = [_size(part.parts) if isinstance(part, Tree) else _bytes(part) for part in parts]
    return sum(sizes)


def _bytes(part: Any) -> int:
    return part.numel() * part.element_size() if isinstance(part, Tensor) else 0
