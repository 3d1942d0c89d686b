"""Binary masks: a sub-folder for each concept, in it a picture that is not black where the concept is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from linexp.concepts.pixels.base import Layer, stack, stem_of
from linexp.concepts.pixels.label_maps import open_map
from linexp.images import Images, size_of


@dataclass(frozen=True, eq=False)
class BinaryMasks:
    """Masks "dog/7.png" of the picture "7.jpg": not 0 where the concept "dog" is.

    An image without a mask in a concept's sub-folder does not show the concept.

    Parameters
    ----------
    folder
        The folder of sub-folders.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        It has no sub-folders with masks.
    """

    folder: Path

    @cached_property
    def _files(self) -> dict[str, dict[str, Path]]:
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.folder}'. Give the folder of masks.")
        found = {
            part.name: {path.stem: path for path in sorted(part.rglob("*.png"))}
            for part in sorted(self.folder.iterdir())
            if part.is_dir()
        }
        if not any(found.values()):
            raise ValueError(f"'{self.folder}' has no sub-folders with PNG files. Make one for each concept.")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts."""
        return tuple(self._files)

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """None are known."""
        return {}

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` if no image has a mask: then the names do not match."""
        stems = {stem for files in self._files.values() for stem in files}
        if not any(stem_of(images, row) in stems for row in range(len(images))):
            raise ValueError(
                f"No mask in '{self.folder}' has the name of an image, such as '{stem_of(images, 0)}.png'. "
                "Name masks like their images."
            )

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the layers of a picture; see ``Masks.layers``."""
        width, height = size_of(images, row)
        stem = stem_of(images, row)
        masks = ((number, files[stem]) for number, files in enumerate(self._files.values()) if stem in files)
        opened = ((number, open_map(path, (width, height), images.name(row)) > 0) for number, path in masks)
        return stack(opened, (height, width))
