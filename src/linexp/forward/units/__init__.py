"""What of a layer's output is a unit: how it is read, how a value is put in its place."""

from linexp.forward.units.autoencoder import SparseAutoencoder as SparseAutoencoder
from linexp.forward.units.base import Replace as Replace
from linexp.forward.units.base import Unit as Unit
from linexp.forward.units.base import activations_of as activations_of
from linexp.forward.units.channels import ChannelAxis as ChannelAxis
from linexp.forward.units.channels import Channels as Channels
from linexp.forward.units.choose import Pool as Pool
from linexp.forward.units.choose import choose_units as choose_units
from linexp.forward.units.clusters import Clusters as Clusters
from linexp.forward.units.directions import Directions as Directions
from linexp.forward.units.fit import AutoencoderFit as AutoencoderFit
from linexp.forward.units.fit import AutoencoderTraining as AutoencoderTraining
from linexp.forward.units.fit import fit_autoencoder as fit_autoencoder
from linexp.forward.units.grid import Grid as Grid
from linexp.forward.units.named import units_of as units_of
from linexp.forward.units.positions import PerPosition as PerPosition
from linexp.forward.units.rotation import Rotation as Rotation
from linexp.forward.units.sparse import BatchTopK as BatchTopK
from linexp.forward.units.sparse import JumpReLU as JumpReLU
from linexp.forward.units.sparse import ReLU as ReLU
from linexp.forward.units.sparse import TopK as TopK
from linexp.forward.units.token import Token as Token
