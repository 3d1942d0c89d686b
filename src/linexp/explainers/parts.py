"""Which rows are left out or drawn together: images, whose regions are not independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from linexp._internal.jackknife import groups
from linexp.matrix import ActivationMatrix, Regions
from linexp.solve import Shortlist, ShortlistMoments, accumulate_groups, accumulate_shortlist

Blocks = Iterator[tuple[Tensor, Tensor]]


def n_images_of(activations: ActivationMatrix, rows: Tensor) -> int:
    """Return of how many images some rows are."""
    regions = activations.regions
    return len(rows) if regions is None else len(regions.image_of(rows).unique())


def moments_of_groups(
    activations: ActivationMatrix, blocks: Callable[[Tensor], Blocks], rows: Tensor, n_groups: int, shortlist: Shortlist
) -> list[ShortlistMoments]:
    """Return the moments of groups of rows, with a stride over images, so that those sorted by class spread evenly."""
    regions = activations.regions
    if regions is None:
        return accumulate_groups(blocks(rows), n_groups, shortlist)
    parts = groups(len(rows), regions.image_of(rows), n_groups)
    return [accumulate_shortlist(blocks(rows[part]), shortlist) for part in parts]


def drawn_by_image(
    draw: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]], regions: Regions | None
) -> Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]:
    """Return what draws images with all their regions, given what draws rows."""
    if regions is None:
        return draw

    def drawn(train: Tensor, val: Tensor, repeat: int) -> tuple[Tensor, Tensor]:
        fitted, chosen = draw(regions.image_of(train).unique(), regions.image_of(val).unique(), repeat)
        return regions.rows_of(fitted), regions.rows_of(chosen)

    return drawn
