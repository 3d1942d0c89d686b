"""The two matrices everything else is computed from. Rows are images in both."""

from linexp.matrix.activation import DEAD_BELOW, ActivationMatrix, check_finite_activations
from linexp.matrix.base import Rows
from linexp.matrix.concept import ConceptMatrix
from linexp.matrix.embedded import EmbeddedConceptMatrix
from linexp.matrix.file import load_activations, save_activations
from linexp.matrix.planted import Planted, make_planted
from linexp.matrix.split import Split

__all__ = [
    "DEAD_BELOW",
    "ActivationMatrix",
    "ConceptMatrix",
    "EmbeddedConceptMatrix",
    "Planted",
    "Rows",
    "Split",
    "check_finite_activations",
    "load_activations",
    "make_planted",
    "save_activations",
]
