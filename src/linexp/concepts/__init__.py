"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource
from linexp.concepts.labels import LabelConcepts

__all__ = ["ConceptSource", "LabelConcepts"]
