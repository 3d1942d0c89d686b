"""Masks from a network that says what each pixel shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from linexp.concepts.pixels.base import Layer
from linexp.images import Images
from linexp.models import needs, own

Segment = Callable[[Image], NDArray[np.integer[Any]]]


@dataclass(frozen=True, eq=False)
class SegmenterConcepts:
    """Each pixel shows the class that a segmentation network gives it.

    Parameters
    ----------
    segmenter
        "hf:NAME", a semantic, instance or panoptic segmentation model for transformers, from the hub or a folder; or
        "package.module:function", a function of yours without arguments that returns the pair of a function from an
        RGB picture to whole numbers [height, width], and the names of 0, 1, 2, …; or such a pair itself.
    device
        Where the network runs.

    Raises
    ------
    ValueError
        The name is of no known kind, or the network returns no map.
    """

    segmenter: str | tuple[Segment, Sequence[str]]
    device: str = "cpu"

    @cached_property
    def _opened(self) -> tuple[Segment, tuple[str, ...]]:
        segment, names = _open(self.segmenter, self.device)
        return segment, tuple(names)

    @cached_property
    def _numbers(self) -> Layer:
        """The number of the concept of each class; classes of one name are one concept."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place[name] for name in self._opened[1]], np.int16)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, each once."""
        return tuple(dict.fromkeys(self._opened[1]))

    @property
    def categories(self) -> Mapping[str, Sequence[str]]:
        """None are known."""
        return {}

    def check(self, images: Images) -> None:
        """Raise ``ValueError`` unless the network makes a map of the first picture."""
        self.layers(images, 0)

    def layers(self, images: Images, row: int) -> list[Layer]:
        """Return the one layer of a picture; see ``Masks.layers``."""
        segment, names = self._opened
        found: Any = np.asarray(segment(images[row]))
        if found.ndim != 2 or found.dtype.kind not in "iu":
            raise ValueError(
                f"The segmenter made {list(found.shape)} of {found.dtype} of '{images.name(row)}'. Let it return one "
                "whole number for each pixel [height, width]."
            )
        if found.min() < 0 or found.max() >= len(names):
            raise ValueError(
                f"The segmenter says {int(found.min())} to {int(found.max())} of '{images.name(row)}' and has "
                f"{len(names)} names. Let it return places among its names."
            )
        return [self._numbers[found]]


def _open(segmenter: str | tuple[Segment, Sequence[str]], device: str) -> tuple[Segment, Sequence[str]]:
    if not isinstance(segmenter, str):
        return segmenter
    if segmenter.startswith("hf:"):
        return _open_huggingface(segmenter.removeprefix("hf:"), device)
    if ":" in segmenter:
        return own.make(segmenter)
    raise ValueError(f"There is no segmenter {segmenter!r}. Give hf:NAME or package.module:function.")


def _open_huggingface(name: str, device: str) -> tuple[Segment, Sequence[str]]:
    with needs("transformers", "demo", "hf:NAME"):
        import transformers

    config = transformers.AutoConfig.from_pretrained(name)
    kinds = ("SemanticSegmentation", "UniversalSegmentation", "ImageSegmentation")
    autos: list[Any] = [getattr(transformers, f"AutoModelFor{kind}") for kind in kinds]
    auto = next((one for one in autos if type(config) in one._model_mapping), None)
    if auto is None:
        raise ValueError(f"'{name}' is a {config.model_type} model, which segments nothing. Give a segmentation model.")
    model: Any = auto.from_pretrained(name).eval().to(device)
    processor: Any = transformers.AutoImageProcessor.from_pretrained(name)

    @torch.inference_mode()
    def segment(picture: Image) -> NDArray[np.integer[Any]]:
        made = processor(images=picture, return_tensors="pt").to(device)
        sizes = [(picture.height, picture.width)]
        return processor.post_process_semantic_segmentation(model(**made), target_sizes=sizes)[0].cpu().numpy()

    names: Any = config.id2label or {}
    return segment, [names[number] for number in sorted(names)]
