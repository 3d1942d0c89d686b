"""The two matrices everything else is computed from. Rows are images in both."""

from linexp.matrix.activation import DEAD_BELOW as DEAD_BELOW
from linexp.matrix.activation import ActivationMatrix as ActivationMatrix
from linexp.matrix.activation import check_finite_activations as check_finite_activations
from linexp.matrix.base import Rows as Rows
from linexp.matrix.concept import ConceptMatrix as ConceptMatrix
from linexp.matrix.embedded import EmbeddedConceptMatrix as EmbeddedConceptMatrix
from linexp.matrix.file import load_activations as load_activations
from linexp.matrix.file import save_activations as save_activations
from linexp.matrix.pixel import IGNORED as IGNORED
from linexp.matrix.pixel import NONE as NONE
from linexp.matrix.pixel import PixelConceptMatrix as PixelConceptMatrix
from linexp.matrix.regions import Regions as Regions
from linexp.matrix.split import Split as Split
