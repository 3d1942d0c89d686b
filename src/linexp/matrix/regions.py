"""Rows that are regions: the cells of a grid laid over each image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_whole


@dataclass(frozen=True, eq=False)
class Regions:
    """The cells of a grid over each image, as rows: image by image, in each from left to right, then downwards.

    Parameters
    ----------
    n_images
        Number of images.
    height, width
        Cells of each image, downwards and across.
    images
        Fingerprint of the images; ``None``: not known.
    windows
        The part of each picture that the grid lies over [images, 4]: top, left, bottom, right as shares of its height
        and width, left > right where it is mirrored. ``None``: all of it.

    Examples
    --------
    >>> Regions(10, 7, 7).place(50)
    (1, 0, 1)
    """

    n_images: int
    height: int
    width: int
    images: str | None = None
    windows: Float[Tensor, "images 4"] | None = None

    def __post_init__(self) -> None:
        for name in ("n_images", "height", "width"):
            check_whole(name, getattr(self, name), 1)
        if self.windows is not None and self.windows.shape != (self.n_images, 4):
            raise ValueError(
                f"There are windows of the shape {list(self.windows.shape)} for {self.n_images} images. "
                "Give top, left, bottom and right for each."
            )

    @property
    def n_cells(self) -> int:
        """Cells of each image."""
        return self.height * self.width

    @property
    def n_rows(self) -> int:
        """Cells of all images."""
        return self.n_images * self.n_cells

    @property
    def fingerprint(self) -> str | None:
        """Identifier of the rows, made from that of the images and the grid."""
        if self.images is None:
            return None
        digest = hashlib.sha256(f"grid {self.height}x{self.width} {self.images}".encode())
        if self.windows is not None:
            digest.update((self.windows.double() * 1e4).round().numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    def place(self, row: int) -> tuple[int, int, int]:
        """Return image, line and column of a row, each from 0 on."""
        image, cell = divmod(row, self.n_cells)
        return image, *divmod(cell, self.width)

    def image_of(self, rows: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
        """Return the image of each row."""
        return rows // self.n_cells

    def rows_of(self, images: Sequence[int] | Int[Tensor, " images"]) -> Int[Tensor, " rows"]:
        """Return the rows of some images, in the order asked for."""
        chosen = torch.as_tensor(images, dtype=torch.int64)
        return (chosen[:, None] * self.n_cells + torch.arange(self.n_cells)).flatten()
