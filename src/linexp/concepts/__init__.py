"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource
from linexp.concepts.labels import LabelConcepts
from linexp.concepts.text import TextConcepts, find_calibration

__all__ = [
    "ConceptSource",
    "LabelConcepts",
    "TextConcepts",
    "find_calibration",
]
