"""What an image collection is: sized, indexable, upright RGB, with or without labels."""

from linexp.images.array import ImageArray
from linexp.images.as_images import as_images
from linexp.images.base import Images, ImageSubset, fingerprint_of_rows
from linexp.images.broken import find_broken, skip_broken
from linexp.images.content import content_fingerprint, contents_of
from linexp.images.decode import decoded_batches
from linexp.images.file_contents import Seen
from linexp.images.files import ImageFiles, ImageFolder
from linexp.images.huggingface import HuggingFaceImages
from linexp.images.openmoji import (
    OPENMOJI,
    demo_package,
    draw_openmoji,
    draw_pictures,
    is_openmoji,
    picture_folder,
    picture_stems,
)
from linexp.images.rgb import to_rgb

__all__ = [
    "OPENMOJI",
    "HuggingFaceImages",
    "ImageArray",
    "ImageFiles",
    "ImageFolder",
    "ImageSubset",
    "Images",
    "Seen",
    "as_images",
    "content_fingerprint",
    "contents_of",
    "decoded_batches",
    "demo_package",
    "draw_openmoji",
    "draw_pictures",
    "find_broken",
    "fingerprint_of_rows",
    "is_openmoji",
    "picture_folder",
    "picture_stems",
    "skip_broken",
    "to_rgb",
]
