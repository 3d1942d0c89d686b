"""Drawing the sheet of pictures. Knows no neuron it is not given."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from linexp._internal.numbers import format_decimals, format_number
from linexp.figures import INK, MUTED, OKABE_ITO, RULE, square
from linexp.images import Images


@dataclass(frozen=True)
class Range:
    """One part of a neuron's range of activation: its heading, its colour and how many pictures show it."""

    heading: str
    colour: str
    n_pictures: int


@dataclass(frozen=True, eq=False)
class Panel:
    """What is shown of one neuron; ``chosen`` holds, for each range, places in ``activations``."""

    text: str
    activations: Float[np.ndarray, " images"]
    chosen: tuple[tuple[int, ...], ...]

    @property
    def lines(self) -> list[str]:
        """The text in lines that fit the sheet; a sign stays with its term, and with a no-break space what has one."""
        joined = self.text.replace(" + ", " +\N{NO-BREAK SPACE}").replace(" − ", " −\N{NO-BREAK SPACE}")
        return [line.replace("\N{NO-BREAK SPACE}", " ") for line in textwrap.wrap(joined, _LETTERS)]


RANGES = (
    Range("highest activation", OKABE_ITO[3], 4),
    Range("random, middle third", OKABE_ITO[0], 3),
    Range("random, lowest third", MUTED, 3),
)
# Inches; 1,800 pixels wide, legible at 1,200. So many letters fill two thirds of a line: some are wider.
_DPI, _WIDTH, _MARGIN, _HEAD, _LINE, _LETTERS = 150, 12.0, 0.3, 1.15, 0.18, 120
_SIDE, _GAP, _HISTOGRAM, _BELOW = 0.8, 0.05, 2.0, 0.34
_BINS = 30  # a multiple of three, so that no bar belongs to two thirds


def draw_sheet(title: str, subtitle: str, panels: Sequence[Panel], images: Images, path: Path) -> None:
    """Draw a panel for each neuron into a PNG file; ``images`` are those behind the panels' activations."""
    from matplotlib.figure import Figure

    heights = [_LINE * len(panel.lines) + _SIDE + _BELOW for panel in panels]
    height = _HEAD + sum(heights) + _MARGIN
    figure = Figure((_WIDTH, height), dpi=_DPI, facecolor="white")
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    _write(axes, _MARGIN, 0.27, title, fontsize=15, weight="bold")
    _write(axes, _MARGIN, 0.59, subtitle, color=MUTED)
    _write(axes, _MARGIN, 0.9, "images (log scale)", color=MUTED)
    for part, left in zip(RANGES, _lefts(), strict=True):
        _write(axes, left, 0.9, part.heading, color=part.colour, weight="bold")
    top = _HEAD
    for panel, below in zip(panels, heights, strict=True):
        _write(axes, _MARGIN, top, "\n".join(panel.lines), linespacing=1.35)
        _draw_panel(axes, panel, images, top + below - _SIDE - _BELOW + 0.04)
        top += below
    # Last, because drawing a picture moves the limits.
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    figure.savefig(path, format="png")


def _lefts() -> list[float]:
    """Return where each block of pictures begins."""
    widths = [part.n_pictures * (_SIDE + _GAP) + 3 * _GAP for part in RANGES]
    return [_MARGIN + _HISTOGRAM + 6 * _GAP + sum(widths[:place]) for place in range(len(RANGES))]


def _draw_panel(axes: Any, panel: Panel, images: Images, top: float) -> None:
    values, base, small = panel.activations, top + _SIDE, {"fontsize": 8, "color": MUTED}
    counts = np.histogram(values, bins=_BINS)[0]
    colours = [part.colour for part in reversed(RANGES) for _ in range(_BINS // len(RANGES))]
    width, tall = _HISTOGRAM / _BINS, np.log1p(counts) / np.log1p(counts.max()) * _SIDE
    axes.bar(_MARGIN + width * np.arange(_BINS), -tall, 0.85 * width, bottom=base, align="edge", color=colours)
    # All numbers of a neuron have two decimals if that suits the largest.
    plain = 0.1 <= abs(values).max() < 10_000
    lowest, highest, *shown = (
        format_decimals(value, 2) if plain else format_number(value)
        for value in [values.min(), values.max(), *(values[place] for places in panel.chosen for place in places)]
    )
    _write(axes, _MARGIN, base + 0.04, lowest, **small)
    _write(axes, _MARGIN + _HISTOGRAM, base + 0.04, highest, ha="right", **small)
    captions = iter(shown)
    for part, left, places in zip(RANGES, _lefts(), panel.chosen, strict=True):
        for x, place in zip(left + (_SIDE + _GAP) * np.arange(len(places)), places, strict=True):
            # Twice the pixels there are: the final resampling stays sharp.
            picture = np.asarray(square(images[place], round(2 * _SIDE * _DPI)))
            axes.imshow(picture, extent=(x, x + _SIDE, base, top), aspect="auto", interpolation="antialiased")
            axes.plot((x, x + _SIDE, x + _SIDE, x, x), (top, top, base, base, top), color=RULE, linewidth=0.8)
            _write(axes, x + _SIDE / 2, base + 0.04, next(captions), ha="center", fontsize=8, color=part.colour)


def _write(axes: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Write text whose top is at ``y``; a "$" in it is a dollar sign, not mathematics."""
    axes.text(x, y, text, parse_math=False, **{"fontsize": 9.5, "color": INK, "va": "top", **style})
