"""Make an image collection from whatever the user has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch

from linexp.images.array import ImageArray
from linexp.images.base import Images, ImageSubset
from linexp.images.files import ImageFiles, ImageFolder
from linexp.images.huggingface import HuggingFaceImages

_OURS = (ImageFiles, ImageFolder, ImageArray, HuggingFaceImages, ImageSubset)


def as_images(source: Any) -> Images:
    """Return ``source`` as an image collection.

    Parameters
    ----------
    source
        A folder; a list of paths; a NumPy array or torch tensor of pictures; a Hugging Face dataset; or a
        collection, which is returned as it is.

    Raises
    ------
    TypeError
        It is something else.
    """
    # Our own classes first: asking the protocol would look up, and so compute, their fingerprints.
    if isinstance(source, _OURS):
        return source
    if isinstance(source, (str, os.PathLike)):
        return ImageFolder(cast("str | os.PathLike[str]", source))
    if isinstance(source, (np.ndarray, torch.Tensor)):
        return ImageArray(source)
    if type(source).__module__.split(".")[0] == "datasets":
        return HuggingFaceImages(source)
    if isinstance(source, Images):
        return source
    if isinstance(source, (list, tuple)) and _first_other(source) is None:
        return ImageFiles(cast("Sequence[str]", source))
    raise TypeError(
        f"Cannot make images from a {_describe(source)}. Give a folder, a list of paths, an array [images, "
        "height, width, 3], a Hugging Face dataset, or an object with the members of linexp.Images."
    )


def _first_other(items: Iterable[Any]) -> object | None:
    """Return the first item that is no path."""
    return next((item for item in items if not isinstance(item, (str, os.PathLike))), None)


def _describe(source: Any) -> str:
    kind = type(source).__name__
    return f"{kind} of {type(_first_other(source)).__name__}" if isinstance(source, (list, tuple)) else kind
