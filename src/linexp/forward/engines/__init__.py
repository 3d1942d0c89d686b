"""How a forward pass is run: as the model is, or in a faster way that changes nothing but rounding."""

from linexp.forward.engines.eager import Run
from linexp.forward.engines.fused import quickened

__all__ = [
    "Run",
    "quickened",
]
