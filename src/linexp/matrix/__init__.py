"""The two matrices everything else is computed from. Rows are images in both."""

from linexp.matrix._parts import Rows
from linexp.matrix.activation import DEAD_BELOW, ActivationMatrix, check_finite_activations
from linexp.matrix.concept import ConceptMatrix
from linexp.matrix.embedded import EmbeddedConceptMatrix
from linexp.matrix.file import load_activations, save_activations

__all__ = [
    "DEAD_BELOW",
    "ActivationMatrix",
    "ConceptMatrix",
    "EmbeddedConceptMatrix",
    "Rows",
    "check_finite_activations",
    "load_activations",
    "save_activations",
]
