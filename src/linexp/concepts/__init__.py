"""Sources of concepts: how much of each concept is in each image; one source a file."""

from linexp.concepts.base import ConceptSource
from linexp.concepts.calibrate import CalibrationFit, fit_calibration
from linexp.concepts.calibration import Calibration
from linexp.concepts.labels import LabelConcepts

__all__ = ["Calibration", "CalibrationFit", "ConceptSource", "LabelConcepts", "fit_calibration"]
