"""torchvision's image classifiers: ``torchvision:NAME``, or with the weights' tag, ``torchvision:NAME:WEIGHTS``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linexp._internal.checks import closest, listing
from linexp.models.base import VisionModel, needs
from linexp.models.weights import load_weights, read_weights, tensors_only

_DEFAULT = "DEFAULT"


def load(name: str, weights: Path | None) -> VisionModel:
    """Load a classifier with weights of torchvision, or those of a file.

    Without a tag the weights are torchvision's default, and the model's name says which these are. The preprocessing is
    that of the tag; a file without a tag gets the one that all tags of the network share, or is refused.
    """
    network, _, tag = name.partition(":")
    if network not in classifiers():
        raise ValueError(
            f"torchvision has no image classifier '{network}'.{closest(network, classifiers())} "
            "List them with torchvision.models.list_models(module=torchvision.models)."
        )
    chosen = _choose(network, tag)
    if weights is None:
        return VisionModel(
            f"torchvision:{network}:{chosen.name}", _download(network, chosen).eval(), chosen.transforms()
        )
    if not tag:
        _check_one_preparation(network)
    shown = f"{network}:{chosen.name}" if tag else network
    return VisionModel(f"torchvision:{shown}", _from_file(network, weights).eval(), chosen.transforms())


def classifiers() -> list[str]:
    """Return the names of torchvision's image classifiers."""
    with needs("torchvision", extra="torchvision"):
        from torchvision import models
    # The other families (detection, video, …) read or answer something else than a batch of pictures.
    return list(models.list_models(module=models))


def _choose(network: str, tag: str) -> Any:
    from torchvision import models

    known: Any = models.get_model_weights(network)
    tags = [one.name for one in known]
    if tag and tag not in (*tags, _DEFAULT):
        raise ValueError(
            f"torchvision has no weights '{tag}' of '{network}'.{closest(tag, tags)} Its weights: {listing(tags)}."
        )
    return known[tag or _DEFAULT]


def _check_one_preparation(network: str) -> None:
    """Refuse to guess how pictures were prepared for the weights in a file."""
    from torchvision import models

    known: Any = models.get_model_weights(network)
    if len({repr(one.transforms()) for one in known}) > 1:
        tags = [one.name for one in known]
        raise ValueError(
            f"torchvision prepares pictures in different ways for the weights of '{network}' ({listing(tags)}), and a "
            f"file does not say how it was trained. Name the way that fits: torchvision:{network}:{tags[0]}."
        )


def _download(network: str, chosen: Any) -> Any:
    from torchvision import models

    try:
        with tensors_only():
            return models.get_model(network, weights=chosen)
    except OSError as error:
        name = f"torchvision:{network}:{chosen.name}"
        raise OSError(
            f"The weights of '{name}' could not be downloaded from {chosen.url} ({error}). "
            "Get that file where there is a connection and pass it: --weights FILE (weights=... in Python)."
        ) from error


def _from_file(network: str, weights: Path) -> Any:
    from torchvision import models

    options: dict[str, bool] = {}
    if network in ("googlenet", "inception_v3"):
        # What torchvision itself sets with the published weights: an input rescaled inside the network. The
        # side branches used in training are built only where the file has them.
        has_branches = any("aux" in key.lower() for key in read_weights(weights))
        options = {"transform_input": True, "init_weights": False, "aux_logits": has_branches}
    module = models.get_model(network, weights=None, **options)
    load_weights(module, weights)
    return module
