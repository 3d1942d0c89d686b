"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource
from linexp.concepts.calibrate import CalibrationFit, fit_calibration
from linexp.concepts.calibration import Calibration
from linexp.concepts.encoder import Encoder
from linexp.concepts.labels import LabelConcepts
from linexp.concepts.text import TextConcepts

__all__ = [
    "Calibration",
    "CalibrationFit",
    "ConceptSource",
    "Encoder",
    "LabelConcepts",
    "TextConcepts",
    "fit_calibration",
]
