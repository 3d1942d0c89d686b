"""One upright 8-bit RGB picture from whatever Pillow opened."""

from __future__ import annotations

import numpy as np
from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the picture upright; 1 and unknown values mean that it is."""


_ORIENTATION = 0x0112
_WHITE_16 = 65535
LONGEST = 100
"""How many times as long as wide a picture may be. Models want the shorter side at some 250 pixels, and to get there a
line of 30,000 pixels would become a picture of two billion."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a new picture: the first frame of ``image``, upright, RGB, 8 bits, without metadata.

    Transparent pixels (RGBA, LA, PA, a transparent palette entry or colour) are composited over white. Greys
    of more than 8 bits are scaled, never clipped: ``I;16`` by 1/257; ``I`` by 1/257 if any value exceeds 255,
    and not at all otherwise; ``F`` by 255 if no value exceeds 1, and like ``I`` otherwise. The EXIF
    orientation is applied, and removed, so that no later step can apply it twice.

    Parameters
    ----------
    image
        A picture in any mode; it is not changed.

    Raises
    ------
    OSError
        The picture's data are damaged.
    ValueError
        A grey value is NaN, negative or above 65535, so nobody can say what white is; or the picture is more than
        ``LONGEST`` times as long as wide.
    """
    if max(image.size) > LONGEST * min(image.size):
        raise ValueError(
            f"The picture has {image.width} by {image.height} pixels, more than {LONGEST} times as many one way as the "
            "other. Cut it to pieces."
        )
    if image.tell():
        image.seek(0)
    image.load()
    orientation = _orientation(image)  # after load(): Pillow turns TIFF pictures there by itself
    upright = _without_transparency(image)
    upright.info.clear()
    turn = _TURNS.get(orientation)
    return upright if turn is None else upright.transpose(turn)


def is_turned(image: Image.Image) -> bool:
    """Whether a picture lies on its side until ``to_rgb`` turns it."""
    return image.format != "TIFF" and _orientation(image) >= 5


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything, and says nothing about the pixels
        return 1


def _without_transparency(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_deep_grey(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    straight = image.convert("LA") if image.mode == "La" else image
    picture = straight.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= _WHITE_16:  # NaN fails too
        raise ValueError(
            f"The grey values run from {low:g} to {high:g}. Rescale them to lie between 0 and {_WHITE_16}."
        )
    grey = np.rint(values * (255 / _white(image.mode, high)))
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _white(mode: str, high: float) -> int:
    if mode.startswith("I;16"):
        return _WHITE_16
    if mode == "F" and high <= 1:
        return 1
    return 255 if high <= 255 else _WHITE_16
