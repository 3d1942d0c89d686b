"""From an encoder's similarities to probabilities, and how reliable these are."""

from linexp.concepts.calibration.calibration import Calibration as Calibration
from linexp.concepts.calibration.fit import CalibrationFit as CalibrationFit
from linexp.concepts.calibration.fit import fit_calibration as fit_calibration
from linexp.concepts.calibration.reliability import Reliability as Reliability
from linexp.concepts.calibration.reliability import measure_reliability as measure_reliability
