"""A concept matrix that also knows, for every pixel, which concepts it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int16
from numpy.typing import NDArray

from linexp.matrix.base import fill
from linexp.matrix.concept import ConceptMatrix

NONE = -1
"""Number of a pixel that shows no concept of a layer."""
IGNORED = -2
"""Number of a pixel of which nothing is known: its concepts are neither present nor absent."""


@dataclass(frozen=True, eq=False, init=False, repr=False)
class PixelConceptMatrix(ConceptMatrix):
    """Shares of concepts in regions or images, with the maps of pixels that they come from.

    Parameters
    ----------
    values
        Share of each region's area that shows each concept [rows, concepts].
    names
        One name per column, each once.
    maps
        What each pixel shows [images, layers, side, side]: a column, ``NONE`` or ``IGNORED``. The pixels lie over the
        part of the picture that the network sees; a pixel may show a concept in each layer.
    categories
        Category → its concepts.
    images
        As in ``ConceptMatrix``.
    """

    maps: Int16[NDArray[np.int16], "images layers side side"]
    categories: Mapping[str, tuple[str, ...]]

    def __init__(
        self,
        values: Any,
        names: Sequence[str],
        maps: NDArray[np.int16],
        categories: Mapping[str, Sequence[str]],
        images: str | None = None,
    ) -> None:
        super().__init__(values, names, images)
        fill(self, maps=maps, categories={name: tuple(members) for name, members in categories.items()})

    def __repr__(self) -> str:
        n_images, _, side, _ = self.maps.shape
        return f"PixelConceptMatrix({self.n_images} rows of {n_images} images, {self.n_concepts} concepts, {side} px)"

    def only(self, names: Sequence[str]) -> ConceptMatrix:
        """Return the matrix of some concepts, in the order asked for; the others are no concept of any pixel then."""
        columns = self.places(names)
        place = np.full(self.n_concepts + 2, NONE, np.int16)  # its last two are those of IGNORED and NONE
        place[columns.numpy()] = np.arange(len(names))
        place[IGNORED] = IGNORED
        kept = set(names)
        categories = {name: [one for one in members if one in kept] for name, members in self.categories.items()}
        return PixelConceptMatrix(
            self.values[:, columns],
            list(names),
            place[self.maps],
            {name: members for name, members in categories.items() if members},
            self.images,
        )
