"""Draw where a neuron fires over a picture: heat, a line around the highest places, and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from linexp.figures.colours import INK, MUTED, colour_of
from linexp.figures.draw import new_axes, plain

_GAP, _HEAT = 0.04, 0.75


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a row: what lies over it, and what it is called.

    Parameters
    ----------
    title
        What stands above it.
    heat
        An enlarged map; ``None``: no heat.
    cut
        A line goes around what is above it.
    masks
        Name → where it is shown, each in the colour of its place.
    """

    title: str
    heat: Float[np.ndarray, "side side"] | None = None
    cut: float | None = None
    masks: dict[str, Bool[np.ndarray, "side side"]] = field(default_factory=dict[str, Any])


def draw_maps(picture: UInt8[np.ndarray, "side side 3"], panels: Sequence[Panel], title: str, axes: Any = None) -> Any:
    """Draw the picture once for each panel, side by side, with what lies over it."""
    axes = new_axes(axes, 0.4 + 2.6 * len(panels), 3.1)
    axes.set_title(plain(title), loc="left", fontsize=11, color=INK)
    for place, panel in enumerate(panels):
        left = place * (1 + _GAP)
        extent = (left, left + 1, 1, 0)
        axes.imshow(picture, extent=extent)
        if panel.heat is not None:
            _draw_heat(axes, panel.heat, panel.cut, extent)
        for number, mask in enumerate(panel.masks.values()):
            _cover(axes, mask, colour_of(number), extent)
        told = plain(", ".join(panel.masks) or panel.title)
        axes.text(left + 0.5, 1.03, told, ha="center", va="top", fontsize=8, color=MUTED)
    axes.set(xlim=(0, len(panels) * (1 + _GAP) - _GAP), ylim=(1.15, 0), aspect="equal")
    axes.axis("off")
    return axes


def _draw_heat(axes: Any, heat: Float[np.ndarray, "side side"], cut: float | None, extent: tuple[float, ...]) -> None:
    """Heat begins at 0, or at the lowest value where none is above 0, as ranges do."""
    cold = 0.0 if heat.max() > 0 else float(heat.min())
    warmth = np.clip((heat - cold) / ((heat.max() - cold) or 1.0), 0, 1)
    axes.imshow(warmth, extent=extent, cmap="autumn", alpha=_HEAT * warmth, vmin=0, vmax=1)
    if cut is not None and heat.min() < cut < heat.max():
        side = len(heat)
        middles = (np.arange(side) + 0.5) / side
        for colour, width in (("black", 2.5), ("white", 1.2)):
            axes.contour(extent[0] + middles, middles, heat, levels=[cut], colors=colour, linewidths=width)


def _cover(axes: Any, mask: Bool[np.ndarray, "side side"], colour: str, extent: tuple[float, ...]) -> None:
    from matplotlib.colors import to_rgba

    axes.imshow(np.where(mask[..., None], to_rgba(colour, 0.6), 0.0), extent=extent, interpolation="nearest")
