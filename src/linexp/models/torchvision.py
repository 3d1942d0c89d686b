"""torchvision's image classifiers: ``torchvision:NAME``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linexp._checks import closest
from linexp.models.base import VisionModel, needs
from linexp.models.weights import load_weights, read_weights, tensors_only


def load(name: str, weights: Path | None) -> VisionModel:
    """Load a classifier with torchvision's default weights, or those of a file.

    The preprocessing is always that of the default weights.
    """
    if name not in classifiers():
        raise ValueError(
            f"torchvision has no image classifier '{name}'.{closest(name, classifiers())} "
            "List them with torchvision.models.list_models(module=torchvision.models)."
        )
    from torchvision import models

    default: Any = models.get_model_weights(name)["DEFAULT"]
    module = _download(name, default) if weights is None else _from_file(name, weights)
    return VisionModel(f"torchvision:{name}", module.eval(), default.transforms())


def classifiers() -> list[str]:
    """Return the names of torchvision's image classifiers.

    Raises
    ------
    ImportError
        torchvision is missing or does not fit this torch.
    """
    with needs("torchvision", extra="torchvision"):
        from torchvision import models
    # The other families (detection, video, …) read or answer something else than a batch of pictures.
    return list(models.list_models(module=models))


def _download(name: str, default: Any) -> Any:
    from torchvision import models

    try:
        with tensors_only():
            return models.get_model(name, weights=default)
    except OSError as error:
        raise OSError(
            f"The weights of 'torchvision:{name}' could not be downloaded from {default.url} ({error}). "
            "Get that file where there is a connection and pass it: --weights FILE (weights=... in Python)."
        ) from error


def _from_file(name: str, weights: Path) -> Any:
    from torchvision import models

    options: dict[str, bool] = {}
    if name in ("googlenet", "inception_v3"):
        # What torchvision itself sets with the published weights: an input rescaled inside the network. The
        # side branches used in training are built only where the file has them.
        has_branches = any("aux" in key.lower() for key in read_weights(weights))
        options = {"transform_input": True, "init_weights": False, "aux_logits": has_branches}
    module = models.get_model(name, weights=None, **options)
    load_weights(module, weights)
    return module
