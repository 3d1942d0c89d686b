"""What of a layer's output is a unit: how it is read, how a value is put in its place."""

from linexp.forward.units.channels import Channels, Pool, Pooling, Replace, neuron_axis, remove_neurons, replace_neurons

__all__ = [
    "Channels",
    "Pool",
    "Pooling",
    "Replace",
    "neuron_axis",
    "remove_neurons",
    "replace_neurons",
]
