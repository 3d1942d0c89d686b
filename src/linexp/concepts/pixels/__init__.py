"""Concepts that have a place in the picture: masks from files, boxes, networks, or the pixels' own colours."""

from linexp.concepts.pixels.base import Masks as Masks
from linexp.concepts.pixels.binary import BinaryMasks as BinaryMasks
from linexp.concepts.pixels.boxes import Boxes as Boxes
from linexp.concepts.pixels.broden import BrodenMasks as BrodenMasks
from linexp.concepts.pixels.coco import CocoMasks as CocoMasks
from linexp.concepts.pixels.colours import ColourConcepts as ColourConcepts
from linexp.concepts.pixels.label_maps import LabelMaps as LabelMaps
from linexp.concepts.pixels.segmenter import SegmenterConcepts as SegmenterConcepts
from linexp.concepts.pixels.source import PixelConcepts as PixelConcepts
