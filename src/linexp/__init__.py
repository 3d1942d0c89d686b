"""Explain the single neurons of a vision network as short weighted sums of concepts, and score the explanations.

The public names, in the order of the pipeline. Each is imported when it is first used, so that ``import linexp``
and the command line's ``--help`` stay light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from linexp._version import __version__

if TYPE_CHECKING:
    from linexp._checks import DifferentImagesError, NotConvergedWarning, StoreMismatchError
    from linexp.concepts import Calibration, CalibrationFit, LabelConcepts, TextConcepts, fit_calibration
    from linexp.explain import LinearExplainer
    from linexp.explanation import Explanation, Explanations, Term
    from linexp.images import (
        HuggingFaceImages,
        ImageArray,
        ImageFiles,
        ImageFolder,
        Images,
        ImageSubset,
        find_broken,
        skip_broken,
    )
    from linexp.matrix import ActivationMatrix, ConceptMatrix
    from linexp.models import VisionModel, load_model, to_unit_tensor
    from linexp.planted import Planted, make_planted
    from linexp.recording import LayerInfo, list_layers, record, record_layers
    from linexp.report import draw_picture_sheet
    from linexp.score import CorrelationScorer, Scores
    from linexp.simulation import simulate
    from linexp.split import Split

__all__ = [
    "ActivationMatrix",
    "Calibration",
    "CalibrationFit",
    "ConceptMatrix",
    "CorrelationScorer",
    "DifferentImagesError",
    "Explanation",
    "Explanations",
    "HuggingFaceImages",
    "ImageArray",
    "ImageFiles",
    "ImageFolder",
    "ImageSubset",
    "Images",
    "LabelConcepts",
    "LayerInfo",
    "LinearExplainer",
    "NotConvergedWarning",
    "Planted",
    "Scores",
    "Split",
    "StoreMismatchError",
    "Term",
    "TextConcepts",
    "VisionModel",
    "__version__",
    "draw_picture_sheet",
    "find_broken",
    "fit_calibration",
    "list_layers",
    "load_model",
    "make_planted",
    "record",
    "record_layers",
    "simulate",
    "skip_broken",
    "to_unit_tensor",
]

_HOMES = {
    "linexp._checks": ("DifferentImagesError", "NotConvergedWarning", "StoreMismatchError"),
    "linexp.images": (
        *("Images", "ImageFolder", "ImageFiles", "ImageArray", "HuggingFaceImages", "ImageSubset"),
        *("find_broken", "skip_broken"),
    ),
    "linexp.matrix": ("ActivationMatrix", "ConceptMatrix"),
    "linexp.split": ("Split",),
    "linexp.planted": ("Planted", "make_planted"),
    "linexp.models": ("VisionModel", "load_model", "to_unit_tensor"),
    "linexp.recording": ("LayerInfo", "list_layers", "record", "record_layers"),
    "linexp.concepts": ("Calibration", "CalibrationFit", "LabelConcepts", "TextConcepts", "fit_calibration"),
    "linexp.explanation": ("Explanation", "Explanations", "Term"),
    "linexp.explain": ("LinearExplainer",),
    "linexp.simulation": ("simulate",),
    "linexp.score": ("CorrelationScorer", "Scores"),
    "linexp.report": ("draw_picture_sheet",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'linexp' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
