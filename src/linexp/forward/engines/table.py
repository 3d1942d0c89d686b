"""The engines by name, and the older way to choose between them."""

from __future__ import annotations

from functools import cache

import torch

from linexp._internal.checks import check_choice
from linexp._internal.renamed import renamed
from linexp.forward.engines.base import LOG, Engine
from linexp.forward.engines.compiled import Compiled
from linexp.forward.engines.eager import Eager
from linexp.forward.engines.fused import Fused
from linexp.forward.engines.onnx_graph import is_installed
from linexp.forward.engines.onnxruntime import OnnxRuntime

ENGINES: dict[str, type[Engine]] = {
    "auto": Fused,
    "torch": Fused,
    "eager": Eager,
    "fused": Fused,
    "onnxruntime": OnnxRuntime,
    "compile": Compiled,
}
"""From the name that ``engine=`` takes to the class; "auto" is what is fastest where the module itself must run."""

# An export takes as long as it saves on 100 to 250 images (EfficientNet-Lite0, ResNet-18, ViT-B/16 on two cores).
N_WORTH_EXPORTING = 512


def find_engine(engine: Engine | str) -> Engine:
    """Return the engine of a name, with its default settings; or the engine itself. Others are refused."""
    if isinstance(engine, Engine):
        return engine
    if not isinstance(engine, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users are not type-checked
        raise TypeError(f"The engine is a {type(engine).__name__}. Give one of {', '.join(ENGINES)}, or an Engine.")
    check_choice("engine", engine, list(ENGINES))
    found = ENGINES[engine]()
    _ = found.told  # says at once that a package is missing
    return found


def choose_engine(engine: Engine | str, n_images: int, device: torch.device) -> Engine:
    """Return the engine for passes that are only read from; "auto" is ONNX Runtime where it can be and pays.

    What is chosen depends on the work and on what is installed, never on how long something took: the same input
    gives the same bytes, and work that is taken up again goes on as it was begun.
    """
    chosen = find_engine(engine)
    if engine != "auto":
        return chosen
    if device.type != "cpu" or n_images < N_WORTH_EXPORTING:
        return chosen
    if is_installed():
        return OnnxRuntime(otherwise=chosen)
    _tell_what_would_be_faster()
    return chosen


@cache
def _tell_what_would_be_faster() -> None:
    """Say it once, however many networks there are."""
    LOG.info("engine: torch. With ONNX Runtime networks run 1.1 to 5 times as fast: pip install 'linexp[fast]'")


takes_fold = renamed("fold", "engine", lambda fold: "auto" if fold else "eager")
"""Lets a function that takes ``engine`` also take ``fold``, its older name, for one release."""
