"""What a result folder holds beside numbers where rows are regions and concepts have masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linexp.matrix import ActivationMatrix, ConceptMatrix, PixelConceptMatrix, Regions, Split

# Where 8 bits do for what a pixel shows, they are taken: nothing and unknown are 0 and 1 before the concepts.
_BEFORE, _FEW = 2, 254


def image_split(split: Split, regions: Regions) -> Split:
    """Return the split of the images that a split of their regions comes from.

    Raises
    ------
    ValueError
        Regions of an image are in different parts.
    """
    parts = [regions.image_of(rows).unique() for rows in (split.train, split.val, split.test)]
    for images, rows in zip(parts, (split.train, split.val, split.test), strict=True):
        if not torch.equal(regions.rows_of(images), rows.sort().values):
            raise ValueError(
                "Regions of one image are in different parts of the split, so scores would be of images that were "
                "seen. Split the images: Split.random(n_images).for_rows(activations)."
            )
    return Split(*parts)


def placed_tensors(activations: ActivationMatrix, concepts: ConceptMatrix) -> dict[str, Tensor]:
    """Return where the regions lie in the pictures and what each pixel shows, as far as there is such a thing."""
    found: dict[str, Tensor] = {}
    if activations.regions is not None and activations.regions.windows is not None:
        found["windows"] = activations.regions.windows.contiguous()
    if isinstance(concepts, PixelConceptMatrix):
        maps = concepts.maps if concepts.n_concepts > _FEW else (concepts.maps + _BEFORE).astype(np.uint8)
        found["maps"] = torch.from_numpy(np.ascontiguousarray(maps))
    return found


def tell_placed(activations: ActivationMatrix, concepts: ConceptMatrix) -> dict[str, Any]:
    """Return what ``run.json`` says of regions and masks; nothing where there are none."""
    regions, told = activations.regions, dict[str, Any]()
    if regions is not None:
        told["regions"] = {"height": regions.height, "width": regions.width, "images": regions.images}
    if isinstance(concepts, PixelConceptMatrix):
        told["categories"] = {name: list(members) for name, members in concepts.categories.items()}
    return told


def read_regions(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor], n_images: int) -> Regions | None:
    """Return the regions that the rows are; ``None``: they are images."""
    told = manifest.get("regions")
    if told is None:
        return None
    return Regions(n_images, told["height"], told["width"], told["images"], tensors.get("windows"))


def with_masks(concepts: ConceptMatrix, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ConceptMatrix:
    """Return the concepts with what each pixel shows, where that was kept."""
    if "maps" not in tensors:
        return concepts
    maps: Any = tensors["maps"].numpy()
    if maps.dtype == np.uint8:
        maps = maps.astype(np.int16) - _BEFORE
    return PixelConceptMatrix(concepts.values, concepts.names, maps, manifest["categories"], concepts.images)
