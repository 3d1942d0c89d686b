"""On which images explanations were fitted and chosen: carried with them, so that no score is taken on these."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from linexp.matrix import Split


@dataclass(frozen=True)
class FittedOn:
    """The images whose activations decided what explanations say: train and val of their split.

    Parameters
    ----------
    images
        Fingerprint of the image collection.
    bitmap
        A bit for each of its images, the first in the lowest bit of the first byte: 1 where it was looked at. Bytes of
        zeros at the end may be missing.
    """

    images: str
    bitmap: bytes = field(repr=False)

    @staticmethod
    def of(split: Split, images: str) -> FittedOn:
        """Return what a method that keeps to a split of a collection, given by its fingerprint, looks at."""
        rows = torch.cat([split.train, split.val])
        looked = np.zeros(int(rows.max()) + 1, dtype=bool)
        looked[rows.numpy()] = True
        return FittedOn(images, np.packbits(looked, bitorder="little").tobytes())

    def count(self, images: str | None, rows: Sequence[int] | Int[Tensor, " rows"]) -> int | None:
        """Count those of some rows of a collection that were looked at.

        ``None``: not known, because the collection is another one, or its fingerprint is not known.
        """
        if images is None or images != self.images:
            return None
        looked = np.unpackbits(np.frombuffer(self.bitmap, np.uint8), bitorder="little")
        asked = torch.as_tensor(rows).numpy()
        return int(looked[asked[asked < len(looked)]].sum())

    def __str__(self) -> str:
        """Write it as a line of text that ``parse`` reads: the fingerprint, a colon, the bitmap in base64."""
        return f"{self.images}:{base64.b64encode(self.bitmap).decode()}"

    @staticmethod
    def parse(text: str) -> FittedOn:
        """Read what ``str`` wrote.

        Raises
        ------
        ValueError
            The text is something else.
        """
        images, colon, bits = text.rpartition(":")
        try:
            bitmap = base64.b64decode(bits, validate=True)
        except ValueError as error:
            raise ValueError(f"it ends in no base64 ({error})") from error
        if not (colon and images and bitmap):
            raise ValueError("it is no fingerprint of images, colon, and rows in base64")
        return FittedOn(images, bitmap)
