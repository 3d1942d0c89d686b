"""Where everything stands on the sheet of pictures, and drawing it there. Knows no neuron it is not given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from linexp.explanations import Explanation, format_number
from linexp.images import Images


@dataclass(frozen=True)
class Range:
    """One part of a neuron's range of activation: its heading, its colour and how many pictures show it."""

    heading: str
    colour: str
    n_pictures: int


@dataclass(frozen=True, eq=False)
class Line:
    """What one line of the sheet shows; ``chosen`` holds, for each range, places in ``activations``."""

    explanation: Explanation
    score: str
    activations: Float[np.ndarray, " images"]
    chosen: tuple[tuple[int, ...], ...]

    def activation(self, value: float) -> str:
        """Write an activation of this neuron: all of them with two decimals if that suits the largest."""
        suits = 0.1 <= abs(self.activations).max() < 10_000
        return f"{value:.2f}".replace("-", "−") if suits else number(value)


@dataclass(frozen=True, eq=False)
class Sheet:
    """What the whole sheet shows."""

    title: str
    subtitle: str
    metric: str
    lines: tuple[Line, ...]


# Vermilion, blue and grey: told apart by every kind of colour vision (Okabe and Ito, 2008).
RANGES = (
    Range("highest activation", "#D55E00", 4),
    Range("random, middle third", "#0072B2", 3),
    Range("random, lowest third", "#777777", 3),
)


_INK, _MUTED, _RULE = "#1A1A1A", "#666666", "#D8D8D8"


# Lengths in inches, from the top left corner; type sizes in points. 1,800 pixels wide, legible at 1,200.
_DPI, _WIDTH, _MARGIN = 150, 12.0, 0.3


_HEAD, _LINE, _PADDING, _CAPTION = 1.2, 0.18, 0.13, 0.2


_TEXT, _HISTOGRAM, _GUTTER, _GAP, _BLOCK_GAP = 2.75, 1.25, 0.28, 0.05, 0.2


_FIRST = _MARGIN + _TEXT + _GUTTER + _HISTOGRAM + _GUTTER  # where the pictures begin; they fill the rest


_N_PICTURES = sum(part.n_pictures for part in RANGES)


_GAPS = (_N_PICTURES - len(RANGES)) * _GAP + (len(RANGES) - 1) * _BLOCK_GAP


_PICTURE = (_WIDTH - _MARGIN - _FIRST - _GAPS) / _N_PICTURES


_BINS = 30  # a multiple of three, so that no bar belongs to two thirds


def number(value: float) -> str:
    """Write a number with a true minus sign."""
    return format_number(value).replace("-", "−")


def wrap_terms(explanation: Explanation, fits: Callable[[str], bool]) -> list[str]:
    """Break the weighted sum into lines that fit: between terms, or inside a term that fills a line alone."""
    if not explanation.terms:
        return ["no concept predicts it" if explanation.outcome == "empty" else "constant on the training images"]
    pieces: list[str] = []
    for place, term in enumerate(explanation.terms):
        sign = "−" if term.weight < 0 else "+"
        lead = f"{sign}\N{NO-BREAK SPACE}" if place else sign.replace("+", "")  # a sign never ends a line
        pieces.append(f"{lead}{format_number(abs(term.weight))}·{' '.join(term.concept.split())}")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in _fill_lines(pieces, fits)]


def draw_sheet(sheet: Sheet, images: Images, path: Path) -> None:
    """Draw the sheet into a PNG file; ``images`` are those behind the activations of its lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(dpi=_DPI, facecolor="white")
    fits = _ruler(FigureCanvasAgg(figure).get_renderer())
    texts = [wrap_terms(line.explanation, fits) for line in sheet.lines]
    heights = [_height(text) for text in texts]
    figure.set_size_inches(_WIDTH, _HEAD + sum(heights) + _MARGIN)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    _draw_head(axes, sheet)
    top = _HEAD
    for line, text, height in zip(sheet.lines, texts, heights, strict=True):
        axes.plot((_MARGIN, _WIDTH - _MARGIN), (top, top), color=_RULE, linewidth=0.8)
        _draw_text(axes, line, text, top + _PADDING)
        _draw_histogram(axes, line, top + _PADDING)
        _draw_pictures(axes, line, images, top + _PADDING)
        top += height
    # Last, because drawing a picture moves the limits.
    axes.set(xlim=(0, _WIDTH), ylim=(top + _MARGIN, 0))
    figure.savefig(path, format="png")


def _fill_lines(pieces: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
    lines: list[str] = []
    for piece in pieces:
        if lines and fits(f"{lines[-1]} {piece}"):
            lines[-1] += f" {piece}"
        elif fits(piece) or len(piece) < 2:
            lines.append(piece)
        else:
            lines.extend(_fill_lines(_halves(piece, fits), fits))
    return lines


def _halves(piece: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut a piece that is too long: between words if it has several, else after what fits of the word."""
    words = piece.split(" ")
    if len(words) > 1:
        return words
    cut = max([end for end in range(1, len(piece)) if fits(piece[:end])], default=1)
    return [piece[:cut], piece[cut:]]


def _ruler(renderer: Any) -> Callable[[str], bool]:
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=9.5)

    def fits(text: str) -> bool:
        width: float = renderer.get_text_width_height_descent(text, font, ismath=False)[0]
        return width <= _TEXT * _DPI

    return fits


def _height(text: Sequence[str]) -> float:
    return max(_PICTURE + _CAPTION, 0.26 + _LINE * len(text)) + 2 * _PADDING


def _write(axes: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Write text whose top is at ``y``; a "$" in it is a dollar sign, not mathematics."""
    style = {"fontsize": 9.5, "color": _INK, "va": "top", **style}
    axes.text(x, y, text, parse_math=False, **style)


def _lefts() -> list[float]:
    """Return where each block of pictures begins."""
    lefts = [_FIRST]
    for part in RANGES[:-1]:
        lefts.append(lefts[-1] + part.n_pictures * (_PICTURE + _GAP) - _GAP + _BLOCK_GAP)
    return lefts


def _draw_head(axes: Any, sheet: Sheet) -> None:
    _write(axes, _MARGIN, 0.27, sheet.title, fontsize=15, weight="bold")
    _write(axes, _MARGIN, 0.59, sheet.subtitle, color=_MUTED)
    y = _HEAD - 0.08
    small = {"fontsize": 9, "va": "bottom"}
    _write(axes, _MARGIN, y, "neuron and explanation", color=_MUTED, **small)
    _write(axes, _MARGIN + _TEXT, y, sheet.metric, color=_MUTED, ha="right", **small)
    _write(axes, _MARGIN + _TEXT + _GUTTER, y, "images (log scale)", color=_MUTED, **small)
    for part, left in zip(RANGES, _lefts(), strict=True):
        _write(axes, left, y, part.heading, color=part.colour, weight="bold", **small)


def _draw_text(axes: Any, line: Line, text: Sequence[str], top: float) -> None:
    _write(axes, _MARGIN, top, f"neuron {line.explanation.neuron}", fontsize=10.5, weight="bold")
    _write(axes, _MARGIN + _TEXT, top, line.score, fontsize=10.5, weight="bold", ha="right")
    for place, row in enumerate(text):
        _write(axes, _MARGIN, top + 0.26 + _LINE * place, row)


def _draw_histogram(axes: Any, line: Line, top: float) -> None:
    left, base = _MARGIN + _TEXT + _GUTTER, top + _PICTURE
    counts, _ = np.histogram(line.activations, bins=_BINS)
    heights = np.log1p(counts) / np.log1p(counts.max()) * _PICTURE
    width = _HISTOGRAM / _BINS
    colours = [part.colour for part in reversed(RANGES) for _ in range(_BINS // len(RANGES))]
    places = left + width * np.arange(_BINS)
    axes.bar(places, -heights, width * 0.85, bottom=base, align="edge", color=colours, linewidth=0)
    axes.plot((left, left + _HISTOGRAM), (base, base), color=_MUTED, linewidth=0.8)
    ends = {"fontsize": 8, "color": _MUTED}
    _write(axes, left, base + 0.05, line.activation(float(line.activations.min())), **ends)
    _write(axes, left + _HISTOGRAM, base + 0.05, line.activation(float(line.activations.max())), ha="right", **ends)


def _draw_pictures(axes: Any, line: Line, images: Images, top: float) -> None:
    from PIL import ImageOps

    side = round(2 * _PICTURE * _DPI)  # twice the pixels there are: the final resampling stays sharp
    for part, left, places in zip(RANGES, _lefts(), line.chosen, strict=True):
        for column, place in enumerate(places):
            x = left + column * (_PICTURE + _GAP)
            picture = np.asarray(ImageOps.fit(images[place], (side, side)))
            edges = (x, x + _PICTURE, top + _PICTURE, top)
            axes.imshow(picture, extent=edges, aspect="auto", interpolation="antialiased")
            frame = ((x, x + _PICTURE, x + _PICTURE, x, x), (top, top, edges[2], edges[2], top))
            axes.plot(*frame, color=_RULE, linewidth=0.8)
            value = line.activation(float(line.activations[place]))
            style = {"fontsize": 8, "color": part.colour, "ha": "center"}
            _write(axes, x + _PICTURE / 2, top + _PICTURE + 0.05, value, **style)
