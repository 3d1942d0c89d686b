"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource as ConceptSource
from linexp.concepts.labels import LabelConcepts as LabelConcepts
from linexp.concepts.own import FIT as FIT
from linexp.concepts.own import Half as Half
from linexp.concepts.own import fit_on_train as fit_on_train
from linexp.concepts.pixels import BinaryMasks as BinaryMasks
from linexp.concepts.pixels import Boxes as Boxes
from linexp.concepts.pixels import BrodenMasks as BrodenMasks
from linexp.concepts.pixels import CocoMasks as CocoMasks
from linexp.concepts.pixels import ColourConcepts as ColourConcepts
from linexp.concepts.pixels import LabelMaps as LabelMaps
from linexp.concepts.pixels import Masks as Masks
from linexp.concepts.pixels import PixelConcepts as PixelConcepts
from linexp.concepts.pixels import SegmenterConcepts as SegmenterConcepts
from linexp.concepts.text import TextConcepts as TextConcepts
from linexp.concepts.text import find_calibration as find_calibration
from linexp.concepts.text import read_sharpness as read_sharpness
