"""Which part of a picture a preprocessing shows to the network: found by sending it pictures whose greys are places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linexp.models.base import Preprocess

# The greys of a ramp are whole numbers and every resampling rounds or smooths them: places are right to a few greys.
_TOLERANCE = 4 / 255
# Filters reach over the border, where a ramp ends; so far from it are places compared.
_BORDER = 0.06


class Window(NamedTuple):
    """The part of a picture that a network sees, as shares of its height and width; mirrored if left > right.

    It may reach over the picture's border where the preprocessing pads.
    """

    top: float
    left: float
    bottom: float
    right: float


WHOLE = Window(0.0, 0.0, 1.0, 1.0)


def find_window(preprocess: Preprocess, size: tuple[int, int]) -> Window:
    """Return the part of pictures of one size that is seen.

    Parameters
    ----------
    preprocess
        From a PIL picture to a tensor [3, height, width]: any resizing, cropping, padding, mirroring and scaling of
        greys.
    size
        Width and height of the pictures.

    Raises
    ------
    ValueError
        It does not resample: it turns, bends or mixes places, gives no picture, or differs from call to call.
    """
    width, height = size
    across = np.tile(_ramp(width), (height, 1))
    down = np.tile(_ramp(height)[:, None], (1, width))
    black, white = (_seen(preprocess, np.full((height, width), grey, np.uint8)) for grey in (0, 255))
    seen = np.abs(white - black) > 1e-6  # padding is the same whatever the picture
    if not seen.any():
        raise ValueError(_refusal(size, "black and white pictures come out the same"))
    made = [_seen(preprocess, ramp) for ramp in (across, down, across)]
    if not np.array_equal(made[0], made[2]):
        raise ValueError(_refusal(size, "the same picture comes out differently the second time"))
    places = [_places(one, black, white, seen) for one in made[:2]]
    left, right = _line(places[0], seen, 1, size)
    top, bottom = _line(places[1], seen, 0, size)
    return Window(top, left, bottom, right)


def _ramp(n_pixels: int) -> NDArray[np.uint8]:
    """Return greys that say where the middle of each pixel is, from 0 to 1."""
    return np.rint((np.arange(n_pixels) + 0.5) / n_pixels * 255).astype(np.uint8)


def _seen(preprocess: Preprocess, grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the first channel of what the preprocessing makes of a grey picture."""
    made = np.asarray(preprocess(Image.fromarray(np.repeat(grey[..., None], 3, 2))), dtype=np.float64)
    if made.ndim != 3 or made.shape[0] not in (1, 3):
        raise ValueError(f"The preprocessing makes {list(made.shape)} of a picture, not [3, height, width].")
    return made[0]


def _places(
    made: NDArray[np.float64], black: NDArray[np.float64], white: NDArray[np.float64], seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the place in the picture that each pixel of the result shows; NaN in padding."""
    places = np.full(made.shape, np.nan)
    if made.shape == black.shape == white.shape:
        places[seen] = ((made - black)[seen]) / (white - black)[seen]
    return places


def _line(
    places: NDArray[np.float64], seen: NDArray[np.bool_], axis: int, size: tuple[int, int]
) -> tuple[float, float]:
    """Return the places of both ends of an axis of the result, once all pixels lie on one line along it."""
    n_pixels = places.shape[axis]
    at = (np.indices(places.shape)[axis] + 0.5) / n_pixels
    inner = seen & (places > _BORDER) & (places < 1 - _BORDER)
    if np.ptp(at[inner]) == 0 if inner.any() else True:
        raise ValueError(_refusal(size, "nothing of a picture's middle is left"))
    slope, start = np.polyfit(at[inner], places[inner], 1)
    off = np.abs(start + slope * at - places)[inner]
    if off.max() > _TOLERANCE or abs(slope) < 1e-3:
        raise ValueError(_refusal(size, f"places lie {off.max():.2f} of the picture beside a straight line"))
    return float(start), float(start + slope)


def _refusal(size: tuple[int, int], fact: str) -> str:
    return (
        f"The preprocessing of pictures of {size[0]} x {size[1]} is no plain resizing and cropping: {fact}. Regions "
        "cannot be found again in the pictures; use one that only resizes, crops, pads or mirrors, without chance."
    )
