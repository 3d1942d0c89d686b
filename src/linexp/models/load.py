"""From a name to a network with its preprocessing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

from linexp._internal.checks import closest
from linexp.models import efficientnet_lite, huggingface, own, timm, torchvision
from linexp.models.base import Preprocess, VisionModel, move_to
from linexp.models.preprocess import find_preprocess

_PACKAGED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
_ADAPTERS = {"torchvision": torchvision.load, "timm": timm.load}
_FORMS = f"{', '.join(_PACKAGED)}, hf:NAME_OR_FOLDER, torchvision:NAME[:WEIGHTS], timm:NAME, package.module:function"
# How torchvision's names begin: known by heart, so that a guess does not need torchvision.
_FAMILIES = re.compile(
    r"(alexnet|convnext_|densenet\d|efficientnet_(b\d|v2)|googlenet|inception_v|maxvit_|mnasnet|mobilenet_|regnet_"
    r"|resnet\d|resnext\d|shufflenet_|squeezenet\d|swin_|vgg\d|vit_|wide_resnet)"
)


def load_model(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str | torch.device | None = "auto",
    trust_remote_code: bool = False,
    preprocess: str | Preprocess | None = None,
) -> VisionModel:
    """Load a model, ready to be recorded, with the preprocessing it was trained with.

    Parameters
    ----------
    name
        ``efficientnet_lite0``, ``efficientnet_lite1`` or ``efficientnet_lite2`` (packaged ImageNet networks,
        no download); ``hf:NAME_OR_FOLDER`` (transformers); ``torchvision:NAME``, or with the tag of its weights,
        ``torchvision:resnet50:IMAGENET1K_V1`` (the paper's); ``timm:NAME``, with or without a tag; or
        ``package.module:function``, a function of yours that takes no arguments and returns a pair
        (module, transform), a `VisionModel`, or a module, which needs ``preprocess``.
    weights
        A local ``.safetensors`` file or torch checkpoint to load instead of the library's pretrained weights,
        which are then not downloaded. Checkpoints that need pickle are refused. Pictures are prepared as for the
        tag; without one, a network of torchvision whose tags prepare them differently is refused.
    device
        Where to move the module, for example ``"cuda"``; ``None``: it stays where it was made. Default: CUDA, else MPS,
        else the CPU.
    trust_remote_code
        Whether a ``hf:`` model may run Python code that comes with it. Read that code first.
    preprocess
        From one RGB picture to the tensor the model expects: a function; ``package.module:function``; or "unit", which
        only scales to [0, 1]. Takes the place of what comes with the model. Default: what comes with it.

    Returns
    -------
    VisionModel
        The module is in eval mode and, unless your own function made it, in float32.

    Raises
    ------
    ValueError
        The name is not known, the weights do not fit, the device does not exist; or nothing says how pictures become
        inputs.
    ImportError
        A package is missing; the message names the extra that brings it.
    OSError
        A file or folder is missing, or a download failed.

    Examples
    --------
    >>> model = load_model("efficientnet_lite0")
    >>> model.preprocess.side
    224
    """
    path = None if weights is None else Path(weights).expanduser()
    chosen = find_preprocess(preprocess)
    model = _load(name, path, trust_remote_code, chosen)
    return replace(model, module=move_to(model.module, device), preprocess=chosen or model.preprocess)


def _load(name: str, weights: Path | None, trust_remote_code: bool, preprocess: Preprocess | None) -> VisionModel:
    """Hand the name to its adapter, which imports its package when it is called."""
    library, _, rest = name.partition(":")
    if name in _PACKAGED:
        return efficientnet_lite.load(name, weights)
    if library == "hf" and rest:
        return huggingface.load(rest, weights, trust_remote_code=trust_remote_code)
    if library in _ADAPTERS and rest:
        return _ADAPTERS[library](rest, weights)
    if own.OWN_FUNCTION.fullmatch(name):
        return own.load(name, weights, libraries=["hf", *_ADAPTERS], preprocess=preprocess)
    raise ValueError(f"There is no model {name!r}.{_guess(name)} Models: {_FORMS}.")


def _guess(name: str) -> str:
    bare = name.partition(":")[2] or name.rstrip(":")
    if _FAMILIES.match(bare):
        return closest(f"torchvision:{bare}", [f"torchvision:{bare}"])
    if "/" in name or Path(name).is_dir():
        return closest(f"hf:{bare}", [f"hf:{bare}"])
    return closest(name, _PACKAGED)
