"""What share of the inputs in each range of activation has each concept of an explanation (Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from linexp._internal.checks import check_choice
from linexp.figures.ranges import Ranges

Shares = Literal["plain", "divided"]
OTHER = "other"
"""What the share of the images without any of the concepts is called."""


# From this probability on an image counts as one that has the concept, where "inside another" is decided.
_PRESENT = 0.5


@dataclass(frozen=True, eq=False)
class Area:
    """The share of each concept in every range of activation, and that of the rest.

    Parameters
    ----------
    names
        What each concept's share is called; of divided shares "other canine", where another of the concepts lies inside
        canine.
    shares
        Share of the images in a range that count for a concept [ranges, terms], from 0 to 1; 0 in an empty range.
    other
        Share of the images in a range that have none of the concepts, from 0 to 1; 0 in an empty range.
    n_images
        Number of images in each range.
    n_below
        Number of images below the first range; they are in none.
    """

    names: tuple[str, ...]
    shares: Float[np.ndarray, "ranges terms"]
    other: Float[np.ndarray, " ranges"]
    n_images: Int[np.ndarray, " ranges"]
    n_below: int


def share_ranges(
    presence: Float[np.ndarray, "images terms"],
    names: Sequence[str],
    activations: Float[np.ndarray, " images"],
    ranges: Ranges,
    shares: Shares = "plain",
) -> Area:
    """Say which share of the images in every range has which concept.

    With "plain", the paper's, an image counts for each concept that it has, so concepts that overlap (husky, dog) add
    up to more than 1. Where presence is a probability, its mean is the share.

    With "divided" none counts twice: an image counts for the innermost of its concepts, one of a husky for husky and
    not for dog; one with several concepts of which none lies inside another counts for them in equal parts. Where
    presence is a probability, an outer concept gets what it has beyond the inner ones, and an image whose shares add up
    to more than 1 is scaled down to 1.

    References
    ----------
    Paper, Section 5.1 and Figure 3.
    """
    check_choice("shares", shares, get_args(Shares))
    shown, own = tuple(names), presence.astype(np.float64)
    if shares == "divided":
        inside = find_inside(presence)
        own = divide(presence, inside)
        shown = tuple(f"other {name}" if inside[:, term].any() else name for term, name in enumerate(names))
    # As a last column, so that a range needs one mean: the images with none of the concepts.
    none = 1 - (own.sum(1) if shares == "divided" else own.max(1, initial=0.0))
    columns = np.column_stack([own, np.maximum(none, 0.0)])
    places = ranges.places(activations)
    counts = np.bincount(places[places >= 0], minlength=ranges.n_ranges)
    means = np.zeros((ranges.n_ranges, columns.shape[1]))
    for place in np.flatnonzero(counts):
        means[place] = columns[places == place].mean(0)
    return Area(shown, means[:, :-1], means[:, -1], counts, int((places < 0).sum()))


def find_inside(presence: Float[np.ndarray, "images terms"]) -> Bool[np.ndarray, "inner outer"]:
    """Say which concept lies inside which other: all its images have the other too, and others have that as well."""
    has = (presence >= _PRESENT).astype(np.float64)
    both, sizes = has.T @ has, has.sum(0)
    return (both == sizes[:, None]) & (sizes[:, None] > 0) & (sizes[:, None] < sizes[None, :])


def divide(
    presence: Float[np.ndarray, "images terms"], inside: Bool[np.ndarray, "inner outer"]
) -> Float[np.ndarray, "images terms"]:
    """Return for each image how much of it counts for each concept; it adds up to 1 at most."""
    own = presence.astype(np.float64)
    for outer in np.flatnonzero(inside.any(0)):
        inner = presence[:, inside[:, outer]].max(1)
        own[:, outer] = np.maximum(presence[:, outer] - inner, 0.0)
    return own / np.maximum(own.sum(1, keepdims=True), 1.0)
