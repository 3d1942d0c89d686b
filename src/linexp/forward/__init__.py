"""Run the user's network and record what its layers do."""

from linexp.forward.batches import (
    BATCH_SIZE_CPU,
    BATCH_SIZE_CUDA,
    CORES_PER_DECODER,
    Inputs,
    Source,
    decoders_on,
    open_module,
    open_source,
    size_on,
)
from linexp.forward.hooks import evaluating
from linexp.forward.key import network_key
from linexp.forward.layers import LayerInfo, find_layers, list_layers
from linexp.forward.look import look_at_layers
from linexp.forward.loop import over_rows
from linexp.forward.malloc import reuse_large_buffers
from linexp.forward.outputs import Output, choose_tensor, first_tensor, remark_on, remarked, warn_of
from linexp.forward.record import on_device, record, record_layers

__all__ = [
    "BATCH_SIZE_CPU",
    "BATCH_SIZE_CUDA",
    "CORES_PER_DECODER",
    "Inputs",
    "LayerInfo",
    "Output",
    "Source",
    "choose_tensor",
    "decoders_on",
    "evaluating",
    "find_layers",
    "first_tensor",
    "list_layers",
    "look_at_layers",
    "network_key",
    "on_device",
    "open_module",
    "open_source",
    "over_rows",
    "record",
    "record_layers",
    "remark_on",
    "remarked",
    "reuse_large_buffers",
    "size_on",
    "warn_of",
]
