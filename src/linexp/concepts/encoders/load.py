"""A name becomes an image-text encoder; its adapter imports the library when a name asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from linexp._internal.checks import closest
from linexp.concepts.encoders.base import Encoder
from linexp.concepts.encoders.conse import ConSE
from linexp.concepts.encoders.fitted import FittedEncoder, is_fitted_encoder
from linexp.concepts.encoders.huggingface import PAPER_ENCODERS, load_huggingface
from linexp.concepts.encoders.open_clip import load_open_clip
from linexp.forward.engines import Engine
from linexp.models import own

_LIBRARIES = ("hf", "open_clip", "conse", "fit")
_FORMS = (
    "hf:NAME_OR_FOLDER, open_clip:ARCHITECTURE,WEIGHTS, conse:CLASSIFIER (such as conse:efficientnet_lite2), "
    "package.module:function, the folder of an encoder of your own (linexp encoder)"
)


def load_encoder(
    name: str,
    *,
    device: str | torch.device | None = "auto",
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    engine: Engine | str = "auto",
) -> Encoder:
    """Load an encoder of images and texts by its name.

    Parameters
    ----------
    name
        ``hf:NAME_OR_FOLDER`` (SigLIP, SigLIP 2 or CLIP of transformers, such as
        "hf:google/siglip-large-patch16-384"); ``open_clip:ARCHITECTURE,WEIGHTS`` (weights: a tag or a file) or
        ``open_clip:FOLDER``; ``conse:CLASSIFIER`` (offline: MiniLM and any ImageNet classifier that ``load_model``
        knows); ``package.module:function``, a function of yours that takes no arguments and returns an `Encoder`; or
        the folder that ``FittedEncoder.save`` wrote.
    device
        Where to run. Default: CUDA, else MPS, else the CPU.
    batch_size
        Images or texts at a time. Default: 8 on a CPU, otherwise 64.
    trust_remote_code
        Whether Python code that comes with a ``hf:`` model may run. Read it first.
    engine
        How its network is run on pictures; as in ``record``. Not for a function of yours.

    Raises
    ------
    ValueError
        The name is not known, or the model is no image-text encoder.
    ImportError
        A package is missing; the message names the extra that brings it.
    OSError
        A file or folder is missing, or a download failed.
    """
    library, _, rest = name.partition(":")
    running: dict[str, Any] = {"device": device, "batch_size": batch_size, "engine": engine}
    if library == "hf" and rest:
        return load_huggingface(rest, trust_remote_code=trust_remote_code, **running)
    if library == "open_clip" and rest:
        model, weights = _split(rest)
        return load_open_clip(model, weights, **running)
    if library == "conse" and rest:
        encoder = ConSE(rest.removesuffix("+minilm"), **running)
        encoder.load()
        return encoder
    if is_fitted_encoder(name):
        return FittedEncoder.load(name, **running)
    if own.OWN_FUNCTION.fullmatch(name) and library not in _LIBRARIES:
        return _as_encoder(own.make(name), name)
    if library == "fit":
        raise ValueError(
            f"'{name}' is fitted on the training images of what is explained, which there are none of here. "
            "Make an encoder with linexp encoder fit, and name its folder."
        )
    raise ValueError(f"There is no encoder '{name}'.{_guess(name)} Encoders: {_FORMS}.")


def _as_encoder(made: object, name: str) -> Encoder:
    if isinstance(made, Encoder) and isinstance(made.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return made
    raise TypeError(
        f"The function '{name}' returned a {type(made).__name__}. "
        "Return an object with a name and the methods encode_images and encode_texts of linexp's Encoder."
    )


def same_model(first: str, second: str) -> bool:
    """Tell whether two encoders' names are of one model, whatever their settings; a folder is known by its path."""
    return _model_of(first) == _model_of(second)


def _model_of(name: str) -> str:
    library, _, rest = name.partition(":")
    if library == "conse":
        return f"conse:{rest.partition('+minilm')[0]}"
    if library in ("fit", "fitted"):  # whatever was fitted on it, and however, the network decides what is seen
        return f"fitted:{rest if library == 'fit' else rest.partition('+minilm')[0].rpartition(':')[0]}"
    folder = Path(rest).expanduser()
    return f"{library}:{folder.resolve()}" if folder.is_dir() else name


def _split(rest: str) -> tuple[str, str | None]:
    model, comma, weights = rest.partition(",")
    return (rest, None) if not comma or Path(rest).expanduser().is_dir() else (model, weights)


def _guess(name: str) -> str:
    bare = name.rstrip(":")
    if Path(bare).is_dir() or ("/" in bare and ":" not in bare):
        return f" Did you mean 'hf:{bare}'?"
    known = [f"hf:{paper}" for paper in PAPER_ENCODERS.values()]
    return closest(bare, [*known, *(f"conse:efficientnet_lite{number}" for number in range(3))])
