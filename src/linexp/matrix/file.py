"""One matrix of activations in one file: what ``linexp simulate`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from linexp._internal.checks import StoreMismatchError
from linexp._internal.files import check_writable_folder, replacing
from linexp.matrix.activation import ActivationMatrix


def save_activations(path: Path, activations: ActivationMatrix, **about: str) -> None:
    """Write recorded or simulated activations as safetensors; ``about`` says in words how they were made.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    told = {"layer": activations.layer, "neurons": activations.neurons, "images": activations.images, "about": about}
    check_writable_folder(path.absolute().parent)
    with replacing(path) as draft:
        # One entry: several would be written in an order that changes from run to run.
        save_file({"activations": activations.values.contiguous()}, draft, {"linexp": json.dumps(told, sort_keys=True)})


def load_activations(path: Path) -> ActivationMatrix:
    """Read what ``save_activations`` wrote, equal to the last bit.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    StoreMismatchError
        It is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'. Give one that linexp simulate wrote.")
    try:
        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] - it has no annotations
            told: Any = json.loads((file.metadata() or {})["linexp"])
            return ActivationMatrix(file.get_tensor("activations"), told["neurons"], told["layer"], told["images"])
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise StoreMismatchError(f"'{path}' holds no activations ({error}). Make it anew.") from error
