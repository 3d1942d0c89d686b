"""Run the user's network and record what its layers do."""

from linexp.forward.batches import BATCH_SIZE_CPU as BATCH_SIZE_CPU
from linexp.forward.batches import BATCH_SIZE_CUDA as BATCH_SIZE_CUDA
from linexp.forward.batches import CORES_PER_DECODER as CORES_PER_DECODER
from linexp.forward.batches import Inputs as Inputs
from linexp.forward.batches import Source as Source
from linexp.forward.batches import decoders_on as decoders_on
from linexp.forward.batches import open_module as open_module
from linexp.forward.batches import open_source as open_source
from linexp.forward.batches import size_on as size_on
from linexp.forward.hooks import evaluating as evaluating
from linexp.forward.key import network_key as network_key
from linexp.forward.layers import LayerInfo as LayerInfo
from linexp.forward.layers import find_layers as find_layers
from linexp.forward.layers import list_layers as list_layers
from linexp.forward.look import look_at_layers as look_at_layers
from linexp.forward.loop import over_rows as over_rows
from linexp.forward.malloc import reuse_large_buffers as reuse_large_buffers
from linexp.forward.outputs import Output as Output
from linexp.forward.outputs import choose_tensor as choose_tensor
from linexp.forward.outputs import first_tensor as first_tensor
from linexp.forward.outputs import remark_on as remark_on
from linexp.forward.outputs import remarked as remarked
from linexp.forward.outputs import warn_of as warn_of
from linexp.forward.record import on_device as on_device
from linexp.forward.record import record as record
from linexp.forward.record import record_layers as record_layers
