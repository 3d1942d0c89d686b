"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource as ConceptSource
from linexp.concepts.labels import LabelConcepts as LabelConcepts
from linexp.concepts.text import TextConcepts as TextConcepts
from linexp.concepts.text import find_calibration as find_calibration
