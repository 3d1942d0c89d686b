"""Small square pictures for a page, each made once."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from linexp._internal.progress import progress_bar
from linexp.figures import look_through, square
from linexp.images import Images, ImageSubset, decoded_batches

_QUALITY, _BATCH = 72, 32


def make_thumbnails(
    images: Images, rows: Sequence[int], side: int, windows: Float[Tensor, "images 4"] | None = None
) -> Iterator[bytes]:
    """Yield some images as WebP in the order asked for: their middle squares, or what lies in windows over them."""
    if not rows:
        return
    if windows is not None:
        with progress_bar("thumbnails", len(rows), "pictures") as advance:
            for row in rows:
                yield _as_webp(look_through(images[row], windows[row].tolist(), side))
                advance(1)
        return

    def shrink(picture: Image.Image) -> UInt8[Tensor, "side side 3"]:
        return torch.from_numpy(np.array(square(picture, side)))

    with progress_bar("thumbnails", len(rows), "pictures") as advance:
        for batch in decoded_batches(ImageSubset(images, rows), shrink, batch_size=_BATCH):
            for pixels in batch:
                yield _as_webp(Image.fromarray(pixels.numpy()))
            advance(len(batch))


def _as_webp(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()
