"""How much the loss of each image changes when a neuron is replaced or removed, in two ways with one interface.

For impact and for ablation scores alike: by a linear head that follows the layer (``HeadLosses``), or by running the
part of the network behind it (``NetworkLosses``, and ``Network`` for a batch).
"""

from linexp.ablation.losses.head import HEAD_RESOLUTION, HeadLosses
from linexp.ablation.losses.network import RESOLUTIONS, Network, NetworkLosses, Precision, judge, stack_on

Losses = HeadLosses | NetworkLosses

__all__ = [
    "HEAD_RESOLUTION",
    "RESOLUTIONS",
    "HeadLosses",
    "Losses",
    "Network",
    "NetworkLosses",
    "Precision",
    "judge",
    "stack_on",
]
