"""What share of the inputs in each range of activation has each concept of an explanation (Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from linexp.figures.ranges import Ranges

# From this probability on an image counts as one that has the concept, where "inside another" is decided.
_PRESENT = 0.5


@dataclass(frozen=True, eq=False)
class Area:
    """Shares that stack to at most 1 in every range.

    Parameters
    ----------
    names
        What each concept's share is called; "other canine" where another of the concepts lies inside canine.
    shares
        Share of the images in a range that count for a concept [ranges, terms], from 0 to 1; 0 in an empty range.
    n_images
        Number of images in each range.
    n_below
        Number of images below the first range; they are in none.
    """

    names: tuple[str, ...]
    shares: Float[np.ndarray, "ranges terms"]
    n_images: Int[np.ndarray, " ranges"]
    n_below: int


def share_ranges(
    presence: Float[np.ndarray, "images terms"],
    names: Sequence[str],
    activations: Float[np.ndarray, " images"],
    ranges: Ranges,
) -> Area:
    """Divide the images of every range among concepts, so that none counts twice.

    An image counts for the rarest of its concepts: one of a husky for husky, not for dog. Where presence is a
    probability, the rarest takes its probability, and every commoner one only what it has beyond the rarer ones; so
    an image's shares add up to the largest of its probabilities.

    Parameters
    ----------
    presence
        How much of each concept is in each image, from 0 to 1.
    names
        The concepts.
    activations
        One number per image.
    ranges
        Where to divide.
    """
    divided = divide(presence)
    places = ranges.places(activations)
    shares = np.zeros((ranges.n_ranges, len(names)))
    counts = np.bincount(places[places >= 0], minlength=ranges.n_ranges)
    for place in np.flatnonzero(counts):
        shares[place] = divided[places == place].mean(0)
    return Area(name_shares(presence, names), shares, counts, int((places < 0).sum()))


def divide(presence: Float[np.ndarray, "images terms"]) -> Float[np.ndarray, "images terms"]:
    """Return for each image how much of it counts for each concept; adds up to the largest presence."""
    presence = presence.astype(np.float64)
    divided = np.zeros_like(presence)
    covered = np.zeros(len(presence))
    for term in np.argsort(presence.mean(0), kind="stable"):  # rarest first
        divided[:, term] = np.maximum(presence[:, term] - covered, 0.0)
        covered = np.maximum(covered, presence[:, term])
    return divided


def name_shares(presence: Float[np.ndarray, "images terms"], names: Sequence[str]) -> tuple[str, ...]:
    """Return what each concept's share is called: "other X" where all images of another concept are in X."""
    has = presence >= _PRESENT
    sizes = has.sum(0)
    inside = (has[:, :, None] & has[:, None, :]).sum(0) == sizes[:, None]  # [inner, outer]
    inside &= (sizes[:, None] > 0) & (sizes[:, None] < sizes[None, :])
    return tuple(f"other {name}" if inside[:, term].any() else name for term, name in enumerate(names))
