"""How a forward pass is run: as the model is, or in a faster way that changes nothing but rounding."""

from linexp.forward.engines.base import N_TRIED, Engine, Runner, Watch, Way
from linexp.forward.engines.eager import Eager
from linexp.forward.engines.fused import Fused
from linexp.forward.engines.passes import Passes, Read
from linexp.forward.engines.table import ENGINES, find_engine, takes_fold

__all__ = [
    "ENGINES",
    "N_TRIED",
    "Eager",
    "Engine",
    "Fused",
    "Passes",
    "Read",
    "Runner",
    "Watch",
    "Way",
    "find_engine",
    "takes_fold",
]
