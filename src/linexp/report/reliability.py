"""A picture of a calibration: predicted against observed probability, and how many pairs that rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linexp._internal.files import check_writable_folder
from linexp._internal.numbers import format_decimals
from linexp.concepts.calibration import CalibrationFit, Reliability
from linexp.figures import INK, MUTED, OKABE_ITO, RULE

_BLUE, _BAR = OKABE_ITO[0], "#9DC3DC"
# Lengths in inches, from the bottom left corner: 960 × 1,200 pixels, the upper plot as wide as high.
_DPI, _WIDTH, _HEIGHT = 150, 6.4, 8.0
_LEFT, _SIDE = 0.95, 5.1
_CURVE, _BARS, _BARS_HEIGHT = 1.75, 0.65, 0.95
_LONGEST_NAME = 72


def draw_reliability(fit: CalibrationFit, path: Path | str) -> Path:
    """Draw the reliability curve of a calibration into a PNG file and return it.

    Above, the share of pairs of image and concept that have the concept, against the probability predicted, one point
    for each bin; the diagonal is a perfect calibration, and the thin lines to it are what the expected calibration
    error averages. Below, how many pairs each point stands for (logarithmic scale).

    Parameters
    ----------
    fit
        What ``fit_calibration`` returned.
    path
        The file to write; its folder is made if it does not exist.

    Raises
    ------
    OSError
        The folder cannot be made or written.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    check_writable_folder(path.parent)
    figure = Figure((_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
    _draw_title(figure, fit)
    curve = _add_axes(figure, _CURVE, _SIDE)
    _draw_curve(curve, fit.reliability)
    bars = _add_axes(figure, _BARS, _BARS_HEIGHT)
    _draw_bars(bars, fit.reliability)
    figure.savefig(path, format="png")
    return path


def _add_axes(figure: Any, bottom: float, height: float) -> Any:
    """Add a plot with the calm frame both share: probabilities from 0 to 1 to the right, no box."""
    axes = figure.add_axes((_LEFT / _WIDTH, bottom / _HEIGHT, _SIDE / _WIDTH, height / _HEIGHT))
    axes.set(xlim=(-0.015, 1.015), xticks=[place / 5 for place in range(6)], facecolor="white")
    axes.tick_params(colors=MUTED, labelsize=9, length=0, which="both")
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, which="major", color=RULE, linewidth=0.6, linestyle="-")
    return axes


def _draw_title(figure: Any, fit: CalibrationFit) -> None:
    calibration, measured = fit.calibration, fit.reliability
    name = calibration.encoder or "an unnamed encoder"
    if len(name) > _LONGEST_NAME:
        name = f"…{name[1 - _LONGEST_NAME :]}"  # what tells long names apart is mostly at their end
    n_pairs, muted = int(measured.n_pairs.sum()), {"fontsize": 9.5, "color": MUTED}
    lines = (
        (0.32, "How true are the probabilities?", {"fontsize": 14, "weight": "bold"}),
        (0.60, name, muted),
        (0.80, f"a = {format_decimals(calibration.a, 2)}, b = {format_decimals(calibration.b, 4)}", muted),
        (1.00, f"BCE {measured.bce:.4g} nats, ECE {measured.ece:.2g}, on {n_pairs:,} pairs", muted),
    )
    for from_top, text, style in lines:
        style = {"color": INK, **style}
        figure.text(_LEFT / _WIDTH, 1 - from_top / _HEIGHT, text, va="baseline", parse_math=False, **style)


def _draw_curve(axes: Any, measured: Reliability) -> None:
    predicted, observed = measured.predicted.numpy(), measured.observed.numpy()
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="perfect calibration")
    axes.vlines(predicted, predicted, observed, color=_BLUE, linewidth=1, alpha=0.5)
    axes.plot(predicted, observed, color=_BLUE, linewidth=1.6, marker="o", markersize=5, label="this one")
    axes.set(ylim=(-0.015, 1.015), yticks=[place / 5 for place in range(6)])
    axes.set_xticklabels([])
    axes.set_ylabel("share of pairs with the concept", color=INK, fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=MUTED, borderaxespad=0.8)


def _draw_bars(axes: Any, measured: Reliability) -> None:
    predicted, n_pairs = measured.predicted.numpy(), measured.n_pairs.numpy()
    gaps = predicted[1:] - predicted[:-1]
    width = min(0.03, max(0.006, 0.8 * float(gaps.min()))) if len(gaps) else 0.03
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2 * max(10, int(n_pairs.max())))  # a bar of one pair is still seen
    axes.bar(predicted, n_pairs - 0.7, width, bottom=0.7, color=_BAR, linewidth=0)
    axes.set_ylabel("pairs", color=INK, fontsize=10)
    axes.set_xlabel("probability predicted", color=INK, fontsize=10)
