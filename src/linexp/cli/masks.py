"""Options that say where concepts with a place in the picture come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linexp.cli.groups import Units
from linexp.cli.options import option, told

if TYPE_CHECKING:
    from linexp.concepts import Masks, PixelConcepts
    from linexp.forward.units import Unit
    from linexp.images import Images

_IGNORED = 255


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Regions of images, and the masks that say what is where."""

    regions: str | None = option(
        None,
        "GRID",
        "Explain where in the image, not one number per image: grid (the layer's own positions) or grid:7 (7 x 7 "
        "cells). Needs --concepts pixels, colours or segmenter:NAME.",
        "whole images",
    )
    masks: Path | None = option(
        None,
        "DIR",
        "Masks for --concepts pixels: PNGs of the pictures' names with a value per class (and --mask-names), a "
        "sub-folder of masks per concept, Broden's folder, COCO's .json, or .csv and .tsv of boxes.",
        False,
    )
    mask_names: Path | None = option(
        None, "FILE", "What the values of masks are called: lines of value, tab, name.", False
    )
    mask_ignore: Annotated[
        list[int] | None, told("N", "Value of masks that says nothing; may be repeated.", str(_IGNORED))
    ] = None

    def check_masks(self, concepts: str) -> None:
        """Check what needs no files."""
        given = [f"--{name.replace('_', '-')}" for name in ("masks", "mask_names", "mask_ignore") if vars(self)[name]]
        if concepts == "pixels" and self.masks is None:
            raise ValueError("--concepts pixels needs masks, which say what each pixel shows. Name them with --masks.")
        if concepts != "pixels" and given:
            raise ValueError(f"{given[0]} is of no use with --concepts {concepts}. Use --concepts pixels.")
        if self.regions is not None and not self.regions.startswith("grid"):
            raise ValueError(f"--regions is '{self.regions}'. Write grid, or grid:7 for 7 x 7 cells.")

    def units_of(self, units: Units) -> Units:
        """Return what of a layer's output is a neuron: in each region, where these were asked for.

        Raises
        ------
        ValueError
            Another way of pooling was asked for, too.
        """
        if self.regions is not None:
            if units.pool not in ("mean", self.regions):
                raise ValueError(
                    f"--regions {self.regions} and --pool {units.pool} contradict each other. Leave one out."
                )
            return dataclasses.replace(units, pool=self.regions)
        return units

    def check_place(self, units: Unit, concepts: str) -> None:
        """Raise ``ValueError`` if there are regions, and the concepts are of whole images."""
        if units.is_regional and concepts in ("labels", "text"):
            raise ValueError(
                f"--concepts {concepts} says what is in a whole image, not where. With regions use --concepts pixels, "
                "colours or segmenter:NAME."
            )

    def open_masks(self, concepts: str, images: Images, device: str) -> PixelConcepts:
        """Open the masks, and say what is wrong with them as far as no mask need be read for it."""
        from linexp.concepts import ColourConcepts, PixelConcepts, SegmenterConcepts

        if concepts == "colours":
            return PixelConcepts(ColourConcepts())
        masks = self._masks() if concepts == "pixels" else SegmenterConcepts(concepts.partition(":")[2], device)
        masks.check(images)
        return PixelConcepts(masks)

    def _masks(self) -> Masks:
        from linexp.concepts import BinaryMasks, Boxes, BrodenMasks, CocoMasks, LabelMaps

        assert self.masks is not None  # check_masks() has seen it
        ignore = tuple(self.mask_ignore or (_IGNORED,))
        if self.mask_names is not None:
            return LabelMaps(self.masks, self.mask_names, ignore)
        if self.masks.suffix.lower() in (".csv", ".tsv"):
            return Boxes(self.masks)
        if self.masks.suffix.lower() == ".json":
            return CocoMasks(self.masks)
        if (self.masks / "index.csv").is_file():
            return BrodenMasks(self.masks)
        if any(self.masks.glob("*.png")):
            raise ValueError(
                f"'{self.masks}' has PNG files whose values have no names. Name a file with lines of value, tab, name "
                "with --mask-names."
            )
        return BinaryMasks(self.masks)
