"""How a forward pass is run: as the model is, or in a faster way that changes nothing but rounding."""

from linexp.forward.engines.base import LOG as LOG
from linexp.forward.engines.base import N_TRIED as N_TRIED
from linexp.forward.engines.base import Engine as Engine
from linexp.forward.engines.base import EngineError as EngineError
from linexp.forward.engines.base import Runner as Runner
from linexp.forward.engines.base import Watch as Watch
from linexp.forward.engines.base import Way as Way
from linexp.forward.engines.compiled import Compiled as Compiled
from linexp.forward.engines.eager import Eager as Eager
from linexp.forward.engines.fused import Fused as Fused
from linexp.forward.engines.low_precision import PRECISIONS as PRECISIONS
from linexp.forward.engines.low_precision import LowPrecision as LowPrecision
from linexp.forward.engines.low_precision import with_precision as with_precision
from linexp.forward.engines.onnxruntime import OnnxRuntime as OnnxRuntime
from linexp.forward.engines.passes import NoMemoryError as NoMemoryError
from linexp.forward.engines.passes import Passes as Passes
from linexp.forward.engines.table import ENGINES as ENGINES
from linexp.forward.engines.table import choose_engine as choose_engine
from linexp.forward.engines.table import find_engine as find_engine
from linexp.forward.engines.table import takes_fold as takes_fold
