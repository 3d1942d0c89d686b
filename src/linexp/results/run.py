"""What was recorded of one layer, the concepts of the same images, and what each image is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from linexp._internal.checks import DifferentImagesError, check_same_images
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split


@dataclass(frozen=True, eq=False)
class Run:
    """Everything needed to explain, score and show one layer, without the model and without the images.

    Parameters
    ----------
    activations, concepts, split
        The recorded layer, the concepts of the same images, and what each image is for.
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
            object.__setattr__(self, "image_names", tuple(f"image {row}" for row in range(first.n_images)))
        check_same_images(first.images, second.images, first.n_images, second.n_images)
        self.split.check(first.n_images)
        if len(self.image_names) != first.n_images:
            raise DifferentImagesError(
                f"There are {len(self.image_names)} names for {first.n_images} images. Give one for each image."
            )
        if len(self.contents) not in (0, first.n_images):
            raise DifferentImagesError(
                f"There are {len(self.contents)} digests for {first.n_images} images. Give one for each image, or none."
            )

    @property
    def sharpness(self) -> float:
        """That of the presences explanations were fitted on, and so of those a judge gives; labels have 1."""
        return self.concepts.sharpness if isinstance(self.concepts, EmbeddedConceptMatrix) else 1.0
