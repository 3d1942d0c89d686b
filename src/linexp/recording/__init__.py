"""Record what the neurons of a layer do on images."""

from linexp.recording.layers import LayerInfo, list_layers
from linexp.recording.pooling import Pooling
from linexp.recording.record import record, record_layers

__all__ = ["LayerInfo", "Pooling", "list_layers", "record", "record_layers"]
