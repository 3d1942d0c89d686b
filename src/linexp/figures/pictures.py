"""Draw pictures from every range of a neuron's activation into matplotlib axes (Figures 4 and 6 to 15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from linexp._internal.numbers import format_number
from linexp.figures.colours import INK, MUTED
from linexp.figures.draw import new_axes
from linexp.figures.ranges import Ranges
from linexp.images import Images

_SIDE, _GAP, _CAPTION = 1.0, 0.06, 0.22


def draw_pictures(
    chosen: Sequence[Sequence[int]],
    images: Images,
    activations: Float[np.ndarray, " images"],
    ranges: Ranges,
    title: str,
    axes: Any = None,
) -> Any:
    """Draw a column of pictures for each range, the highest on the left, each with its activation below."""
    most = max(map(len, chosen))
    axes = new_axes(axes, 1.25 * ranges.n_ranges, 0.8 + 1.5 * most)
    axes.set_title(title.replace("$", r"\$"), loc="left", fontsize=11, color=INK)
    edges = ranges.edges[::-1]
    for column, rows in enumerate(chosen):
        heading = f"{format_number(edges[column + 1])} to {format_number(edges[column])}"
        x = column * (_SIDE + _GAP)
        axes.text(x + _SIDE / 2, -0.08, heading, ha="center", va="bottom", fontsize=8, color=MUTED)
        for line, row in enumerate(rows):
            y = line * (_SIDE + _CAPTION)
            axes.imshow(np.asarray(square(images[row], 128)), extent=(x, x + _SIDE, y + _SIDE, y))
            caption = format_number(float(activations[row]))
            axes.text(x + _SIDE / 2, y + _SIDE + 0.03, caption, ha="center", va="top", fontsize=8, color=INK)
    # Last, because drawing a picture moves the limits.
    width, height = len(chosen) * (_SIDE + _GAP), most * (_SIDE + _CAPTION)
    axes.set(xlim=(0, width), ylim=(height, -0.3), aspect="equal")
    axes.axis("off")
    return axes


def square(picture: Image.Image, side: int) -> Image.Image:
    """Return the middle square of a picture at this size."""
    width, height = picture.size
    least = min(width, height)
    left, top = (width - least) // 2, (height - least) // 2
    box = (left, top, left + least, top + least)
    return picture.resize((side, side), Image.Resampling.BILINEAR if least < side else Image.Resampling.LANCZOS, box)


def look_through(picture: Image.Image, window: Sequence[float], side: int) -> Image.Image:
    """Return what a network sees of a picture, at this size: black where that lies beside the picture.

    ``window`` is top, left, bottom and right as shares of height and width; mirrored where left > right.
    """
    across, down = sorted((window[1], window[3])), sorted((window[0], window[2]))
    left, right = (round(share * picture.width) for share in across)
    top, bottom = (round(share * picture.height) for share in down)
    seen = picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    seen = seen.resize((side, side), Image.Resampling.LANCZOS)
    seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if window[1] > window[3] else seen
    return seen.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if window[0] > window[2] else seen
