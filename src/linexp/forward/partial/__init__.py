"""The part of a classifier behind a layer: run it from what the layer returned, with single neurons changed.

``BehindLayer`` cuts a model at a layer without knowing its code: modules that ran before the layer return what they
returned the first time, the layer returns whatever it is told to, and everything after it runs as it is. So residual
branches, shared modules and any control flow work, and where the cut changes the logits, the whole model runs.
``find_linear_tail`` recognises a layer that only pooling and a linear head follow, where nothing needs to run at all:
changing a neuron by δ changes the logits by δ·W[:, neuron].
"""

from linexp.forward.partial.batches import StoredBatches as StoredBatches
from linexp.forward.partial.linear_head import LinearTail as LinearTail
from linexp.forward.partial.linear_head import find_linear_tail as find_linear_tail
from linexp.forward.partial.model import BehindLayer as BehindLayer
from linexp.forward.partial.state import Stored as Stored
