"""What of a layer's output is a unit: how it is read, how a value is put in its place."""

from linexp.forward.units.base import Replace as Replace
from linexp.forward.units.base import Unit as Unit
from linexp.forward.units.base import activations_of as activations_of
from linexp.forward.units.channels import ChannelAxis as ChannelAxis
from linexp.forward.units.channels import Channels as Channels
from linexp.forward.units.choose import Pool as Pool
from linexp.forward.units.choose import choose_units as choose_units
from linexp.forward.units.grid import Grid as Grid
from linexp.forward.units.token import Token as Token
