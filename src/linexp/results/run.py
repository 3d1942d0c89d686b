"""What was recorded of one layer, the concepts of the same images, and what each image is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from linexp._internal.checks import DifferentImagesError, check_same_images
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, PixelConceptMatrix, Split
from linexp.results.placed import image_split

LABELS = "labels"
"""Who judges where no model does."""


@dataclass(frozen=True, eq=False)
class Run:
    """Everything needed to explain, score and show one layer, without the model and without the images.

    Parameters
    ----------
    activations, concepts, split
        The recorded layer, the concepts of the same images, and what each image is for. Where rows are regions, all
        three are of these, and all regions of an image are in one part; see ``Split.for_rows``.
    image_names
        What messages and pages call each image: its path, usually. Default: "image 0", "image 1" and so on.
    settings
        How it was made: model, layer, pooling, explainer and so on; plain values that JSON can hold.
    contents
        SHA-256 of each picture's file, in hexadecimal digits, by which a picture that was replaced can be named. Empty:
        not known.

    Raises
    ------
    DifferentImagesError
        Activations, concepts, split or names are not of the same images.
    ValueError
        The split divides an image.
    """

    activations: ActivationMatrix
    concepts: ConceptMatrix
    split: Split
    image_names: tuple[str, ...] = field(default=(), kw_only=True)
    settings: dict[str, Any] = field(default_factory=dict[str, Any], kw_only=True)
    contents: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        first, second = self.activations, self.concepts
        if not self.image_names:
            object.__setattr__(self, "image_names", tuple(f"image {row}" for row in range(self.n_pictures)))
        check_same_images(first.images, second.images, first.n_images, second.n_images)
        self.split.check(first.n_images)
        if first.regions is not None:
            image_split(self.split, first.regions)
        if len(self.image_names) != self.n_pictures:
            raise DifferentImagesError(
                f"There are {len(self.image_names)} names for {self.n_pictures} images. Give one for each image."
            )
        if len(self.contents) not in (0, self.n_pictures):
            raise DifferentImagesError(
                f"There are {len(self.contents)} digests for {self.n_pictures} images. "
                "Give one for each image, or none."
            )

    @property
    def n_pictures(self) -> int:
        """Number of images, each of which is one row, or as many as it has regions."""
        regions = self.activations.regions
        return self.activations.n_images if regions is None else regions.n_images

    @property
    def pictures(self) -> str | None:
        """Fingerprint of the images, not of their regions; ``None``: not known."""
        regions = self.activations.regions
        return self.activations.images if regions is None else regions.images

    @property
    def split_of_images(self) -> Split:
        """The split of the images, not of their regions."""
        regions = self.activations.regions
        return self.split if regions is None else image_split(self.split, regions)

    @property
    def rows_are(self) -> str:
        """What text calls the rows: "images" or "regions"."""
        return "images" if self.activations.regions is None else "regions"

    def row_name(self, row: int) -> str:
        """Return what text calls a row: the name of its image and, of a region, which one it is."""
        regions = self.activations.regions
        if regions is None:
            return self.image_names[row]
        image, down, across = regions.place(row)
        return f"{self.image_names[image]}, cell {down + 1} down, {across + 1} across"

    @property
    def judge(self) -> str:
        """Who found the concepts that explained: the encoder, ``LABELS``, or what says which pixels show what."""
        known = self.settings.get("encoder")
        if not known and isinstance(self.concepts, PixelConceptMatrix):
            known = self.settings.get("concepts") or "pixels"
        return str(known or LABELS)

    @property
    def sharpness(self) -> float:
        """That of the presences explanations were fitted on, and so of those a judge gives; labels have 1."""
        return self.concepts.sharpness if isinstance(self.concepts, EmbeddedConceptMatrix) else 1.0
