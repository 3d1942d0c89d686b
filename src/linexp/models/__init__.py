"""A name becomes a model with its preprocessing: from torchvision, timm, transformers, a package, your own code.

Importing this imports none of those libraries; each is imported by its adapter when a name asks for it.
"""

from linexp.models.base import PhotoTransform as PhotoTransform
from linexp.models.base import Preprocess as Preprocess
from linexp.models.base import VisionModel as VisionModel
from linexp.models.base import move_to as move_to
from linexp.models.base import needs as needs
from linexp.models.base import to_unit_tensor as to_unit_tensor
from linexp.models.geometry import Window as Window
from linexp.models.geometry import find_window as find_window
from linexp.models.huggingface import ProcessorTransform as ProcessorTransform
from linexp.models.load import load_model as load_model
from linexp.models.networks import published_network as published_network
from linexp.models.networks import same_network as same_network
from linexp.models.preprocess import describe_preprocess as describe_preprocess
from linexp.models.tell import tell_device as tell_device
from linexp.models.tell import tell_model as tell_model
from linexp.models.weights import load_weights as load_weights
from linexp.models.weights import read_weights as read_weights
from linexp.models.weights import tensors_only as tensors_only
