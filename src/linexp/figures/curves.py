"""Draw what share of something falls on the first of the images, against the diagonal of an even spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from linexp.figures.colours import INK, MUTED, RULE, colour_of
from linexp.figures.draw import calm, plain

_MOST_POINTS = 600


def draw_shares(curves: Mapping[str, Float[np.ndarray, " images"]], axes: Any, *, logarithmic: bool = False) -> Any:
    """Draw Top Impact curves: by name the mean share of the impact on the 1, 2, … n most activating images.

    On ``logarithmic`` scales the few highest activations can be told apart.
    """
    calm(axes, "on logarithmic scales" if logarithmic else "Share of impact on the most activating images")
    least = 1 / max(len(curve) for curve in curves.values())
    start = least if logarithmic else 0.0
    axes.plot((start, 1), (start, 1), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="evenly spread")
    for place, (name, curve) in enumerate(curves.items()):
        ranks = _ranks(len(curve))
        across, up = (ranks + 1) / len(curve), curve[ranks]
        if not logarithmic:  # no image has no impact
            across, up = np.append(0.0, across), np.append(0.0, up)
        axes.plot(across, up, color=colour_of(place), linewidth=1.8, label=plain(name))
    if logarithmic:
        lowest = min(float(curve[curve > 0].min(initial=1.0)) for curve in curves.values())
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(min(least, lowest), 1.05))
    else:
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    axes.grid(visible=True, which="major", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the images, highest activations first (β)", color=INK)
    axes.set_ylabel("share of the neuron's impact", color=INK)
    return axes


def _ranks(n_images: int) -> Any:
    """Return which points to draw: every one if there are few, else evenly on both kinds of scales."""
    if n_images <= _MOST_POINTS:
        return np.arange(n_images)
    even = np.linspace(0, n_images - 1, _MOST_POINTS // 2)
    few = np.geomspace(1, n_images, _MOST_POINTS // 2) - 1
    return np.unique(np.concatenate([even, few]).round().astype(np.int64))
