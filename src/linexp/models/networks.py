"""What is known of a network from its name alone: which names are the same weights, which are others."""

from __future__ import annotations

import re

# The authors' files are called {network}_{data}_{layer}.csv; their ImageNet networks are torchvision's IMAGENET1K_V1.
_PUBLISHED = re.compile(r"(?:^|_)(resnet\d+|vit_[blh]_\d+)_imagenet_")
_PUBLISHED_ELSEWHERE = re.compile(r"(?:^|_)(resnet18_places365|vgg16_bn_cifar100)_")
_TORCHVISION = re.compile(r"torchvision:(\w+)(?::(\w+))?")
_TIMM = re.compile(r"timm:(\w+)(?:\.(\w+))?")
# timm's tags of weights that are torchvision's own files.
_SAME_FILES = {"tv_in1k": "IMAGENET1K_V1", "tv2_in1k": "IMAGENET1K_V2"}


def published_network(file: str) -> str:
    """Return which network a file of the paper's published results is about, by the file's name.

    Examples
    --------
    >>> published_network("resnet50_imagenet_layer4")
    'torchvision:resnet50:IMAGENET1K_V1'
    >>> published_network("resnet18_places365_layer4")
    'resnet18_places365'
    >>> published_network("mine")
    ''
    """
    if found := _PUBLISHED.search(file):
        return f"torchvision:{found[1]}:IMAGENET1K_V1"
    found = _PUBLISHED_ELSEWHERE.search(file)
    return found[1] if found else ""


def same_network(one: str, other: str) -> bool | None:
    """Say whether two names are of the same weights; ``None``: it cannot be told.

    Examples
    --------
    >>> same_network("torchvision:resnet50:IMAGENET1K_V1", "timm:resnet50.tv_in1k")
    True
    >>> same_network("torchvision:resnet50:IMAGENET1K_V1", "timm:resnet50.a1_in1k")
    False
    >>> same_network("torchvision:resnet50:IMAGENET1K_V1", "torchvision:resnet50") is None
    True
    """
    first, second = _identity(one), _identity(other)
    if first is None or second is None:
        return True if one == other else None
    (network, weights), (another, others) = first, second
    if network != another:  # what the libraries call differently, such as ViTs, has other weights in each
        return False
    return weights == others if weights and others else None


def _identity(name: str) -> tuple[str, str] | None:
    """Return network and weights; ``None`` where the name says neither, as with functions of one's own."""
    if found := _TORCHVISION.fullmatch(name):
        return found[1], found[2] or ""
    if found := _TIMM.fullmatch(name):
        return found[1], _SAME_FILES.get(found[2] or "", found[2] or "")
    known = name.startswith("efficientnet_lite") or _PUBLISHED_ELSEWHERE.search(f"{name}_")
    return (name, name) if known else None
