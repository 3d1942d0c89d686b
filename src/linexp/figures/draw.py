"""Draw shares and scores into matplotlib axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from linexp._internal.numbers import format_decimals
from linexp.figures.area import OTHER, Area
from linexp.figures.colours import INK, MUTED, REST, RULE, colour_of
from linexp.figures.ranges import Ranges


def new_axes(axes: Any, width: float, height: float) -> Any:
    """Return ``axes``, or new ones of this size in inches."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def draw_area(area: Area, ranges: Ranges, title: str, axes: Any = None) -> Any:
    """Draw stacked shares over the ranges of activation, those of no concept on top, and how many images are in each.

    Where concepts overlap the stack is higher than 1.
    """
    axes = calm(new_axes(axes, 6.4, 3.6), title)
    centres, filled = ranges.centres, area.n_images > 0
    # An empty range has no shares: nothing is drawn over it.
    shares = np.where(filled[:, None], np.column_stack([area.shares, area.other]), np.nan).T
    colours = [*(colour_of(place) for place in range(len(area.names))), REST]
    padded = np.pad(filled, 1)
    lonely = filled & ~padded[:-2] & ~padded[2:]  # an area needs two neighbours
    bottom = np.zeros(ranges.n_ranges)
    for share, name, colour in zip(shares, (*area.names, OTHER), colours, strict=True):
        top = bottom + share
        axes.fill_between(centres, bottom, top, color=colour, linewidth=0, label=plain(name))
        axes.vlines(centres[lonely], bottom[lonely], top[lonely], color=colour, linewidth=4)
        bottom = top
    for centre, count in zip(centres, area.n_images, strict=True):
        axes.annotate(
            f"{count:,}",
            (centre, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=8,
            color=MUTED,
            annotation_clip=False,
        )
    highest = float(np.nanmax(bottom, initial=1.0))
    axes.set(ylim=(0, highest), xlim=(ranges.edges[0], ranges.edges[-1]) if ranges.high > ranges.low else None)
    axes.set_xlabel("activation (above: number of images)", color=INK)
    axes.set_ylabel("share of images", color=INK)
    if area.names:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9, reverse=True)
    return axes


def draw_histogram(values: Float[np.ndarray, " neurons"], metric: str, axes: Any = None) -> Any:
    """Draw how one score is distributed over neurons, and its mean."""
    known = values[~np.isnan(values)]
    axes = calm(new_axes(axes, 5.0, 3.2), f"{metric} of {len(known):,} neurons")
    if len(known):
        axes.hist(known, bins=30, color=colour_of(0), linewidth=0)
        axes.axvline(known.mean(), color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"mean {format_decimals(float(known.mean()), 3)}",
            (known.mean(), 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=INK,
        )
    axes.set_xlabel(plain(metric), color=INK)
    axes.set_ylabel("neurons", color=INK)
    return axes


def draw_scatter(
    across: Float[np.ndarray, " neurons"], up: Float[np.ndarray, " neurons"], labels: tuple[str, str], axes: Any = None
) -> Any:
    """Draw one score of each neuron against another (Figure 5)."""
    axes = calm(new_axes(axes, 4.6, 4.0), f"{labels[1]} against {labels[0]}")
    axes.scatter(across, up, s=12, color=colour_of(0), alpha=0.6, linewidth=0)
    axes.set_xlabel(plain(labels[0]), color=INK)
    axes.set_ylabel(plain(labels[1]), color=INK)
    return axes


def calm(axes: Any, title: str) -> Any:
    """Give axes the calm frame that all figures share."""
    axes.set_title(plain(title), loc="left", fontsize=11, color=INK, pad=16)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    return axes


def plain(text: str) -> str:
    """Keep matplotlib from reading mathematics or a hidden label into a name."""
    text = text.replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text
