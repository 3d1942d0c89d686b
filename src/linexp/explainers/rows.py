"""The rows in which overlap is counted: images, regions, or the pixels of enlarged maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from linexp.explainers.labels import Labels, holds, varying
from linexp.explanations import Concept, Formula
from linexp.matrix import IGNORED, ActivationMatrix, ConceptMatrix, PixelConceptMatrix, Regions
from linexp.solve import Words, all_rows, number_known, pack_columns, pixels_within, rows_within

# Neurons whose pixels are held at a time: a bit for each pixel of each image.
_STRIP = 64


def has_pixels(activations: ActivationMatrix, concepts: ConceptMatrix) -> bool:
    """Whether there are maps of the neurons and of the concepts, so that their pixels can be compared."""
    return activations.regions is not None and isinstance(concepts, PixelConceptMatrix)


def strips_of(
    activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor, ranges: NDArray[np.float64], *, strict: bool
) -> Iterator[Words]:
    """Yield the rows in which each neuron lies in each of its ranges, packed [neurons, ranges, words].

    They are those of the matrix, for all neurons; or the pixels behind them, for some neurons at a time.
    """
    values = activations.block(rows)
    if not has_pixels(activations, concepts):
        yield rows_within(values, ranges, strict=strict)
        return
    pixels = Pixels.of(activations, concepts, rows)
    for start in range(0, activations.n_neurons, _STRIP):
        maps = pixels.as_maps(values[:, start : start + _STRIP])
        yield pixels_within(maps, ranges[start : start + _STRIP], pixels.numbers, strict=strict)


def words_of(
    said: Sequence[Concept | None],
    activations: ActivationMatrix,
    concepts: ConceptMatrix,
    rows: Tensor,
    present_from: float,
) -> dict[Concept, Words]:
    """Return the rows, those that ``strips_of`` means, in which each of what is said holds, packed."""
    wanted = list(dict.fromkeys(one for one in said if one is not None))
    if has_pixels(activations, concepts):
        pixels = Pixels.of(activations, concepts, rows)
        return {one: pixels.holds(one) for one in wanted}
    packed = pack_columns([holds(wanted, concepts, rows, present_from)]) if wanted else []
    return dict(zip(wanted, packed, strict=True))


@dataclass(frozen=True, eq=False)
class Pixels:
    """The known pixels of some images, as rows.

    Parameters
    ----------
    concepts
        The concepts with their maps.
    regions
        The regions of all images.
    images
        Which images.
    """

    concepts: PixelConceptMatrix
    regions: Regions
    images: Tensor

    @staticmethod
    def of(activations: ActivationMatrix, concepts: ConceptMatrix, rows: Tensor) -> Pixels:
        """Return the pixels behind some rows of regions.

        Raises
        ------
        ValueError
            The rows are not whole images.
        """
        regions = activations.regions
        if regions is None or not isinstance(concepts, PixelConceptMatrix):
            raise TypeError("There are no pixels without regions and masks.")  # has_pixels() was not asked
        images = regions.image_of(rows[:: regions.n_cells])
        if not torch.equal(regions.rows_of(images), rows):
            raise ValueError(
                "The split does not hold all regions of an image in their order, so its map cannot be put together. "
                "Make it from a split of the images: Split.random(n_images).for_rows(activations)."
            )
        return Pixels(concepts, regions, images)

    def as_maps(self, values: Float[Tensor, "rows neurons"]) -> Float[Tensor, "images height width neurons"]:
        """Return rows put together to maps."""
        return values.unflatten(0, (len(self.images), self.regions.height, self.regions.width))

    @cached_property
    def shown(self) -> NDArray[np.int16]:
        """What each pixel of the images shows [images, layers, side, side]."""
        return self.concepts.maps[self.images.numpy()]

    @cached_property
    def numbers(self) -> NDArray[np.int32]:
        """Which row is which pixel; see ``number_known``."""
        return number_known((self.shown != IGNORED).any(1))

    @property
    def n_rows(self) -> int:
        """Number of known pixels."""
        return int(self.numbers.max()) + 1

    def column(self, name: str) -> Words:
        """Return the pixels that show a concept, packed."""
        number = int(self.concepts.places([name])[0])
        shows = (self.shown == number).any(1)[self.numbers >= 0]
        return pack_columns([torch.from_numpy(shows)[:, None]])[0]

    def holds(self, one: Concept) -> Words:
        """Return the pixels in which a formula holds, packed."""
        if not isinstance(one, Formula):
            return self.column(one)
        if one.operator == "name":
            return self.column(one.name)
        parts = [self.holds(part) for part in one.operands]
        if one.operator == "NOT":
            return all_rows(self.n_rows) & ~parts[0]
        return (np.bitwise_and if one.operator == "AND" else np.bitwise_or).reduce(parts)

    def fields(self, categories: Mapping[str, Sequence[str]]) -> Words:
        """Return all pixels of the images that have any concept of a category, packed [categories, words]."""
        fields: list[Words] = []
        for members in categories.values():
            numbers = self.concepts.places(members).numpy()
            anywhere: NDArray[np.bool_] = np.asarray(np.isin(self.shown, numbers).any((1, 2, 3)))
            everywhere = np.broadcast_to(anywhere[:, None, None], self.numbers.shape)[self.numbers >= 0]
            fields.append(pack_columns([torch.from_numpy(everywhere.copy())[:, None]])[0])
        return np.stack(fields)

    def all_fields(self) -> Words:
        """Return one field: all known pixels."""
        return all_rows(self.n_rows)[None]

    def labels(self, names: Sequence[str]) -> Labels:
        """Return the concepts that some known pixels show and some do not."""
        columns = np.stack([self.column(name) for name in names])
        varies = varying(columns, self.n_rows)
        if not any(varies):
            raise ValueError(
                f"Each of the {len(names)} concepts is shown by all {self.n_rows} known pixels of the training images "
                "or by none. Use concepts that vary over these images."
            )
        return Labels(tuple(names), columns, self.n_rows).only(varies)
