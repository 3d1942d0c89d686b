"""What an image collection is: sized, indexable, upright RGB, with or without labels."""

from __future__ import annotations

from linexp.images.array import ImageArray
from linexp.images.base import Images, ImageSubset
from linexp.images.broken import find_broken, skip_broken
from linexp.images.content import content_fingerprint, contents_of
from linexp.images.decode import decoded_batches
from linexp.images.files import ImageFiles, ImageFolder
from linexp.images.huggingface import HuggingFaceImages
from linexp.images.rgb import to_rgb
from linexp.images.source import as_images

__all__ = [
    "HuggingFaceImages",
    "ImageArray",
    "ImageFiles",
    "ImageFolder",
    "ImageSubset",
    "Images",
    "as_images",
    "content_fingerprint",
    "contents_of",
    "decoded_batches",
    "find_broken",
    "skip_broken",
    "to_rgb",
]
