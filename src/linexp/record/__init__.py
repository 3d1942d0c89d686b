"""Record what the neurons of a layer do on images."""

from linexp.record.layers import LayerInfo, list_layers
from linexp.record.pooling import Pooling
from linexp.record.record import record, record_layers

__all__ = ["LayerInfo", "Pooling", "list_layers", "record", "record_layers"]
