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
    from linexp.concepts import (
        Calibration,
        CalibrationFit,
        ConSE,
        LabelConcepts,
        Reliability,
        TextConcepts,
        Vocabulary,
        fit_calibration,
        load_encoder,
        measure_reliability,
        read_vocabulary,
        superclasses,
    )
    from linexp.explain import LinearExplainer
    from linexp.explanation import Explanation, Explanations, Term
    from linexp.explanation_dropped import DroppedConcept
    from linexp.fitted_on import FittedOn
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
    from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix
    from linexp.models import VisionModel, load_model, to_unit_tensor
    from linexp.planted import Planted, make_planted
    from linexp.recording import LayerInfo, list_layers, record, record_layers
    from linexp.removal import Impact, TopImpact, impact, impact_layers, top_impact
    from linexp.report import (
        Finding,
        draw_picture_sheet,
        draw_reliability,
        draw_top_impact,
        read_finding,
        write_report,
    )
    from linexp.score import (
        AblationScorer,
        AblationScores,
        AUPRCScorer,
        AUROCScorer,
        CorrelationScorer,
        CosineScorer,
        Difference,
        F1Scorer,
        IoUScorer,
        SanityCheck,
        Scores,
        Simulability,
        SpearmanScorer,
        check_metric,
        check_unseen,
        compare_scores,
        simulability,
    )
    from linexp.shards import Store
    from linexp.simulation import simulate
    from linexp.split import Split

__all__ = [
    "AUPRCScorer",
    "AUROCScorer",
    "AblationScorer",
    "AblationScores",
    "ActivationMatrix",
    "Calibration",
    "CalibrationFit",
    "ConSE",
    "ConceptMatrix",
    "CorrelationScorer",
    "CosineScorer",
    "Difference",
    "DifferentImagesError",
    "DroppedConcept",
    "EmbeddedConceptMatrix",
    "Explanation",
    "Explanations",
    "F1Scorer",
    "Finding",
    "FittedOn",
    "HuggingFaceImages",
    "ImageArray",
    "ImageFiles",
    "ImageFolder",
    "ImageSubset",
    "Images",
    "Impact",
    "IoUScorer",
    "LabelConcepts",
    "LayerInfo",
    "LinearExplainer",
    "NotConvergedWarning",
    "Planted",
    "Reliability",
    "SanityCheck",
    "Scores",
    "Simulability",
    "SpearmanScorer",
    "Split",
    "Store",
    "StoreMismatchError",
    "Term",
    "TextConcepts",
    "TopImpact",
    "VisionModel",
    "Vocabulary",
    "__version__",
    "check_metric",
    "check_unseen",
    "compare_scores",
    "draw_picture_sheet",
    "draw_reliability",
    "draw_top_impact",
    "find_broken",
    "fit_calibration",
    "impact",
    "impact_layers",
    "list_layers",
    "load_encoder",
    "load_model",
    "make_planted",
    "measure_reliability",
    "read_finding",
    "read_vocabulary",
    "record",
    "record_layers",
    "simulability",
    "simulate",
    "skip_broken",
    "superclasses",
    "to_unit_tensor",
    "top_impact",
    "write_report",
]

_HOMES = {
    "linexp._checks": ("DifferentImagesError", "NotConvergedWarning", "StoreMismatchError"),
    "linexp.shards": ("Store",),
    "linexp.images": (
        *("Images", "ImageFolder", "ImageFiles", "ImageArray", "HuggingFaceImages", "ImageSubset"),
        *("find_broken", "skip_broken"),
    ),
    "linexp.matrix": ("ActivationMatrix", "ConceptMatrix", "EmbeddedConceptMatrix"),
    "linexp.split": ("Split",),
    "linexp.fitted_on": ("FittedOn",),
    "linexp.planted": ("Planted", "make_planted"),
    "linexp.models": ("VisionModel", "load_model", "to_unit_tensor"),
    "linexp.recording": ("LayerInfo", "list_layers", "record", "record_layers"),
    "linexp.concepts": (
        *("LabelConcepts", "superclasses", "TextConcepts", "Vocabulary", "read_vocabulary", "ConSE", "load_encoder"),
        *("Calibration", "CalibrationFit", "Reliability", "fit_calibration", "measure_reliability"),
    ),
    "linexp.explanation": ("Explanation", "Explanations", "Term"),
    "linexp.explanation_dropped": ("DroppedConcept",),
    "linexp.explain": ("LinearExplainer",),
    "linexp.simulation": ("simulate",),
    "linexp.score": (
        *(
            "AblationScorer",
            "AblationScores",
            "CorrelationScorer",
            "CosineScorer",
            "AUPRCScorer",
            "F1Scorer",
            "IoUScorer",
            "SpearmanScorer",
            "AUROCScorer",
        ),
        *("Scores", "Difference", "compare_scores", "SanityCheck", "check_metric"),
        *("Simulability", "simulability", "check_unseen"),
    ),
    "linexp.removal": ("Impact", "TopImpact", "impact", "impact_layers", "top_impact"),
    "linexp.report": (
        *("Finding", "draw_picture_sheet", "draw_reliability", "draw_top_impact", "read_finding", "write_report"),
    ),
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
