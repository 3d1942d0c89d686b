"""From an encoder's similarities to probabilities, and how reliable these are."""

from linexp.concepts.calibration.calibration import Calibration
from linexp.concepts.calibration.fit import CalibrationFit, fit_calibration
from linexp.concepts.calibration.reliability import Reliability, measure_reliability

__all__ = [
    "Calibration",
    "CalibrationFit",
    "Reliability",
    "fit_calibration",
    "measure_reliability",
]
