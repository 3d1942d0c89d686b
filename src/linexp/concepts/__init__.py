"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource
from linexp.concepts.calibrate import CalibrationFit, fit_calibration
from linexp.concepts.calibration import Calibration
from linexp.concepts.conse import ConSE
from linexp.concepts.encoder import Encoder
from linexp.concepts.encoders import load_encoder, same_model
from linexp.concepts.labels import LabelConcepts
from linexp.concepts.reliability import Reliability, measure_reliability
from linexp.concepts.text import TextConcepts
from linexp.concepts.vocabulary import Vocabulary, read_vocabulary
from linexp.concepts.wordnet import superclasses

__all__ = [
    "Calibration",
    "CalibrationFit",
    "ConSE",
    "ConceptSource",
    "Encoder",
    "LabelConcepts",
    "Reliability",
    "TextConcepts",
    "Vocabulary",
    "fit_calibration",
    "load_encoder",
    "measure_reliability",
    "read_vocabulary",
    "same_model",
    "superclasses",
]
