"""Pictures that are already in memory, as one array."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from linexp.images.base import check_labels, summary

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ImageArray:
    """Pictures in a NumPy array or a torch tensor.

    Parameters
    ----------
    values
        ``uint8``, or floats from 0 (black) to 1 (white), which are rounded to 8 bits. Shapes:
        [images, height, width, 3], [images, 3, height, width], the same with 1 for grey, or
        [images, height, width] for grey. Where both the second and the last axis could be the channels, it is
        the last. ``uint8`` arrays are not copied: do not change them afterwards.
    labels
        Class of each image, from 0; ``None``: not known.
    label_names
        Human name of each class.

    Raises
    ------
    ValueError
        The shape is none of these, there is no pixel, a value is NaN or lies outside 0 to 1, or labels do not
        fit.
    TypeError
        The values are neither ``uint8`` nor floats.

    Examples
    --------
    >>> ImageArray(np.zeros((5, 3, 32, 48), dtype=np.uint8))[0].size
    (48, 32)
    """

    values: _Array
    """[images, height, width, channels], ``uint8``, with 1 or 3 channels."""
    labels: tuple[int, ...] | None
    label_names: tuple[str, ...]

    def __init__(self, values: Any, labels: Sequence[int] | None = None, label_names: Sequence[str] = ()) -> None:
        pixels = _as_bytes(_channels_last(_as_numpy(values)))
        object.__setattr__(self, "values", pixels)
        object.__setattr__(self, "labels", check_labels(labels, label_names, len(pixels)))
        object.__setattr__(self, "label_names", tuple(label_names))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Image.Image:
        picture = self.values[index]
        return Image.fromarray(np.repeat(picture, 3 // picture.shape[-1], axis=-1))

    def __repr__(self) -> str:
        return summary("ImageArray", len(self), self.label_names)

    def name(self, index: int) -> str:
        """Return "image 17" for row 17."""
        return f"image {index}"

    def content(self, index: int) -> bytes:
        """Return the SHA-256 of the image's shape and pixels."""
        picture = self.values[index]
        return hashlib.sha256(f"{picture.shape} ".encode() + picture.tobytes()).digest()

    @property
    def fingerprint(self) -> str:
        """Identifier made from shape and pixels; the same pictures have the same one in every layout."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(f"array {self.values.shape} ".encode())
        for picture in self.values:
            digest.update(picture.tobytes())
        return digest.hexdigest()


def _as_numpy(values: Any) -> _Array:
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.asarray(values)


def _channels_last(values: _Array) -> _Array:
    if values.size == 0:
        raise ValueError(f"The values have the shape {list(values.shape)}, no pixels. Give at least one image.")
    if values.ndim == 4 and values.shape[3] in (1, 3):
        return values
    if values.ndim == 4 and values.shape[1] in (1, 3):
        return np.moveaxis(values, 1, 3)
    if values.ndim == 3 and values.shape[2] != 3:
        return values[..., np.newaxis]
    single = " One image is values[None]." if values.ndim == 3 else ""
    raise ValueError(
        f"The values have the shape {list(values.shape)}. Give [images, height, width, 3], "
        f"[images, 3, height, width], the same with 1 for grey, or [images, height, width].{single}"
    )


def _as_bytes(values: _Array) -> _Array:
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    if values.dtype.kind != "f":
        raise TypeError(
            f"The values are {values.dtype} and run from {low} to {high}. "
            "Give uint8 (0 to 255), or floats between 0 and 1."
        )
    if np.isnan(low):
        row = next(row for row, picture in enumerate(values) if np.isnan(picture).any())
        raise ValueError(f"Image {row} contains NaN. Give uint8 (0 to 255), or floats between 0 and 1.")
    if low < 0 or high > 1:
        raise ValueError(
            f"The values run from {low:g} to {high:g}, but floats must lie between 0 and 1. "
            "Undo any normalisation, divide values up to 255 by 255, or give uint8."
        )
    pixels = np.empty(values.shape, dtype=np.uint8)
    # In float64: a float16's own product with 255 is rounded first, which gives 4 % of all values another pixel.
    for row, picture in enumerate(values):  # one at a time: the float copy of all may not fit
        pixels[row] = np.rint(picture.astype(np.float64) * 255)
    return pixels
