"""What commands say of a model: where it runs, and which weights a library chose."""

from __future__ import annotations

from linexp._internal.checks import choose_device
from linexp.models.base import VisionModel


def tell_device(device: str) -> None:
    """Say where the models run."""
    print(f"device: {choose_device(device)}")


def tell_model(model: VisionModel, asked: str) -> None:
    """Say which weights a library chose, where that was left to it."""
    if model.name != asked:
        print(f"model: {model.name}, the default of {asked}")
