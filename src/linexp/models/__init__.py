"""A name becomes a model with its preprocessing: from torchvision, timm, transformers, a package, your own code.

Importing this imports none of those libraries; each is imported by its adapter when a name asks for it.
"""

from linexp.models.base import PhotoTransform, Preprocess, VisionModel, move_to, needs, to_unit_tensor
from linexp.models.huggingface import ProcessorTransform
from linexp.models.load import load_model
from linexp.models.networks import published_network, same_network
from linexp.models.preprocess import describe_preprocess, find_preprocess
from linexp.models.tell import tell_device, tell_model
from linexp.models.weights import load_weights, read_weights, tensors_only

__all__ = [
    "PhotoTransform",
    "Preprocess",
    "ProcessorTransform",
    "VisionModel",
    "describe_preprocess",
    "find_preprocess",
    "load_model",
    "load_weights",
    "move_to",
    "needs",
    "published_network",
    "read_weights",
    "same_network",
    "tell_device",
    "tell_model",
    "tensors_only",
    "to_unit_tensor",
]
