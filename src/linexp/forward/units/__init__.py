"""What of a layer's output is a unit: how it is read, how a value is put in its place."""

from linexp.forward.units.base import Replace, Unit, activations_of
from linexp.forward.units.channels import ChannelAxis, Channels
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.token import Token

__all__ = [
    "ChannelAxis",
    "Channels",
    "Pool",
    "Replace",
    "Token",
    "Unit",
    "activations_of",
    "choose_units",
]
