"""The eleven basic colour terms, from the pixels themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexp.concepts.pixels.base import Layer
from linexp.images import Images

_Lab = NDArray[np.float64]
# sRGB examples of each term, ours: several where a term covers much of the solid, so that dark and pale ones count.
_EXAMPLES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "black": ((0, 0, 0), (30, 30, 30)),
    "grey": ((128, 128, 128), (85, 85, 85), (180, 180, 180)),
    "white": ((255, 255, 255), (238, 238, 238)),
    "red": ((220, 20, 30), (150, 10, 20), (240, 60, 60)),
    "orange": ((255, 140, 0), (235, 110, 30)),
    "yellow": ((255, 230, 0), (240, 220, 100)),
    "green": ((0, 150, 0), (0, 90, 30), (120, 200, 80), (90, 110, 50)),
    "blue": ((0, 60, 220), (20, 30, 110), (110, 170, 235), (0, 140, 200)),
    "purple": ((130, 40, 160), (80, 30, 90), (170, 130, 210)),
    "pink": ((255, 150, 190), (245, 200, 210), (235, 70, 150)),
    "brown": ((120, 70, 30), (80, 45, 20), (165, 110, 65), (190, 150, 110)),
}


@dataclass(frozen=True)
class ColourConcepts:
    """Each pixel is of the basic colour term whose examples are nearest to it in CIELAB.

    References
    ----------
    Berlin & Kay (1969), Basic Color Terms. CIE 15:2004, Colorimetry.

    Examples
    --------
    >>> import numpy as np
    >>> ColourConcepts().name(np.array([[200, 30, 20], [250, 250, 250]]))
    ['red', 'white']
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The eleven terms."""
        return tuple(_EXAMPLES)

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """One: colour."""
        return {"colour": self.names}

    def check(self, images: Images) -> None:
        """Any pictures will do."""
        del images

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the one layer of a picture; see ``Masks.layers``."""
        return [self._table[_bins(np.asarray(images[row]))]]

    def name(self, colours: NDArray[Any]) -> list[str]:
        """Return the terms of 8-bit sRGB colours [colours, 3]."""
        return [self.names[number] for number in self._table[_bins(np.asarray(colours))]]

    @cached_property
    def _table(self) -> NDArray[np.int16]:
        """The term of each of 32³ bins of colours: a pixel is looked up, not computed."""
        steps = np.arange(32) * 8 + 4
        bins = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        examples = [(number, one) for number, some in enumerate(_EXAMPLES.values()) for one in some]
        known = _to_lab(np.array([one for _, one in examples]))
        distances = ((_to_lab(bins)[:, None] - known[None]) ** 2).sum(-1)
        return np.array([number for number, _ in examples], np.int16)[distances.argmin(1)]


def _bins(colours: NDArray[Any]) -> NDArray[np.int64]:
    places = colours.astype(np.int64) >> 3
    return (places[..., 0] << 10) | (places[..., 1] << 5) | places[..., 2]


def _to_lab(colours: NDArray[Any]) -> _Lab:
    """Return CIELAB (D65) of 8-bit sRGB colours."""
    shares = colours / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    bent = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness = 116 * bent[..., 1] - 16
    return np.stack([lightness, 500 * (bent[..., 0] - bent[..., 1]), 200 * (bent[..., 1] - bent[..., 2])], -1)
