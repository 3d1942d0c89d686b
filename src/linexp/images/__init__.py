"""What an image collection is: sized, indexable, upright RGB, with or without labels."""

from linexp.images.array import ImageArray as ImageArray
from linexp.images.as_images import as_images as as_images
from linexp.images.base import Images as Images
from linexp.images.base import ImageSubset as ImageSubset
from linexp.images.base import fingerprint_of_rows as fingerprint_of_rows
from linexp.images.broken import find_broken as find_broken
from linexp.images.broken import skip_broken as skip_broken
from linexp.images.content import content_fingerprint as content_fingerprint
from linexp.images.content import contents_of as contents_of
from linexp.images.decode import decoded_batches as decoded_batches
from linexp.images.file_contents import Seen as Seen
from linexp.images.files import ImageFiles as ImageFiles
from linexp.images.files import ImageFolder as ImageFolder
from linexp.images.huggingface import HuggingFaceImages as HuggingFaceImages
from linexp.images.openmoji import OPENMOJI as OPENMOJI
from linexp.images.openmoji import demo_package as demo_package
from linexp.images.openmoji import draw_openmoji as draw_openmoji
from linexp.images.openmoji import is_openmoji as is_openmoji
from linexp.images.openmoji import picture_stems as picture_stems
from linexp.images.rgb import to_rgb as to_rgb
from linexp.images.size import size_of as size_of
