"""Weights from a local file: tensors only, never pickled objects."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from linexp._internal.checks import listing
from linexp._internal.torch_file import why_refused

_RESAVE = "Re-save it: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')."
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def read_weights(path: str | Path, *, skip: int = 0) -> dict[str, Tensor]:
    """Read a state dict from a ``.safetensors`` file or a torch checkpoint, on the CPU.

    A checkpoint may keep it under ``"state_dict"``, ``"model"`` or ``"model_state_dict"``; the prefix
    ``"module."`` that ``DataParallel`` puts before every name is removed. ``skip``: how many bytes stand before the
    checkpoint.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is no checkpoint, holds more than tensors with numbers in them, needs pickle, which can run any code,
        or is a small archive of something huge.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weights file '{path}'. Pass a local .safetensors file or a torch checkpoint."
        )
    state = _state_dict(_read(path, skip), path)
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def load_weights(module: torch.nn.Module, path: str | Path) -> None:
    """Load every weight of ``module`` from a file; nothing may be missing or left over.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_weights`; also when names or shapes differ, and then the module is unchanged.
    """
    state, own = read_weights(path), module.state_dict()
    # Batch norm's counters matter only in training, and old checkpoints do not have them.
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    reshaped = [
        f"{key}: {list(state[key].shape)} in the file and {list(value.shape)} in the model"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of other shape": reshaped}
    if differences := [f"{len(keys)} {kind} ({listing(keys, most=4)})" for kind, keys in found.items() if keys]:
        raise ValueError(
            f"The weights in '{path}' do not fit {type(module).__name__}: {', '.join(differences)}. "
            "Pass weights of this very architecture, or build your own with 'package.module:function'."
        )
    module.load_state_dict(state, strict=False)


@contextmanager
def tensors_only() -> Generator[None, None, None]:
    """Let no library unpickle more than tensors in the block, also where it asks torch for that.

    torchvision does for the weights it downloads; with this a file that was swapped on the way can do no harm.
    """
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


class _RefusedError(ValueError):
    """A file that is not even begun to be read."""


def _read(path: Path, skip: int) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if refused := why_refused(path):
            raise _RefusedError(f"The checkpoint '{path}' {refused}. {_RESAVE}")
        return torch.load(BytesIO(path.read_bytes()[skip:]) if skip else path, map_location="cpu", weights_only=True)
    except (OSError, _RefusedError):
        raise
    except Exception as error:  # on a file that is no checkpoint, torch's reader fails in a dozen ways
        if pickled := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ValueError(
                f"The checkpoint '{path}' holds a pickled {pickled[1]}, and unpickling can run any code. {_RESAVE}"
            ) from error
        reason = str(error).splitlines()[0].split(". ")[0] if str(error) else "it ends too early"
        raise ValueError(
            f"The file '{path}' cannot be read as weights ({type(error).__name__}: {reason}). {_RESAVE}"
        ) from error


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise ValueError(f"The checkpoint '{path}' holds a {type(content).__name__} and no state dict. {_RESAVE}")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"The checkpoint '{path}' holds a {type(value).__name__} named '{key}' and not tensors alone. {_RESAVE}"
            )
        if value.is_meta or value.is_nested or value.layout != torch.strided or value.is_complex():
            kind = "an empty" if value.is_meta else "a complex" if value.is_complex() else "a sparse or nested"
            raise ValueError(f"The checkpoint '{path}' holds {kind} tensor named '{key}', no plain numbers. {_RESAVE}")
    state = {str(key): value for key, value in content.items()}
    if len(state) < len(content):
        raise ValueError(f"The checkpoint '{path}' holds two tensors of one name. {_RESAVE}")
    return state
