"""timm's models: ``timm:NAME``, with or without a pretrained tag (``timm:resnet50.a1_in1k``)."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from linexp._internal.checks import closest, listing
from linexp.models.base import VisionModel, needs
from linexp.models.weights import load_weights, tensors_only


def load(name: str, weights: Path | None) -> VisionModel:
    """Load a model with timm's pretrained weights, or those of a file, and its evaluation transform.

    Without a tag the weights are timm's default, and the model's name says which these are.

    timm's own addresses, ``hf-hub:NAME`` and ``local-dir:FOLDER``, are passed on to it.
    """
    timm = _timm()
    _check_name(timm, name)
    module = _create(timm, name, pretrained=weights is None)
    if weights is not None:
        load_weights(module, weights)
    settings = timm.data.resolve_data_config({}, model=module)
    transform = timm.data.create_transform(**settings, is_training=False)
    return VisionModel(f"timm:{name if weights is not None else _full(module, name)}", module.eval(), transform)


def _full(module: Any, name: str) -> str:
    """Return the name with the tag of the weights that timm chose."""
    tag = (getattr(module, "pretrained_cfg", None) or {}).get("tag", "")
    return f"{name}.{tag}" if tag and "." not in name and ":" not in name else name


def _timm() -> ModuleType:
    with needs("timm", extra="torchvision"):
        import timm
    return timm


def _check_name(timm: ModuleType, name: str) -> None:
    bare, _, tag = name.partition(".")
    if ":" in name:
        return
    if not timm.is_model(bare):
        known = timm.list_models()
        raise ValueError(f"timm has no model '{bare}'.{closest(bare, known)} List them with timm.list_models().")
    known = timm.list_pretrained(f"{bare}.*")
    if tag and name not in known:
        raise ValueError(
            f"timm has no weights '{name}'.{closest(name, known)} Weights of {bare}: {listing(known) or 'none'}."
        )


def _create(timm: ModuleType, name: str, *, pretrained: bool) -> Any:
    try:
        with tensors_only():
            return timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:  # RuntimeError: the model is known and has no published weights
        raise OSError(
            f"'timm:{name}' could not be loaded ({str(error).splitlines()[0].rstrip('.')}). "
            "Check the connection, or pass a local file: --weights FILE (weights=... in Python)."
        ) from error
