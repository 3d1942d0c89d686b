"""linexp's own files, and safetensors of anybody's with named tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor

from linexp._internal.files import write_atomically
from linexp.forward.units.readers.found import Found
from linexp.forward.units.sparse import BatchTopK, JumpReLU, ReLU, Sparsity, TopK

if TYPE_CHECKING:
    from linexp.forward.units.autoencoder import SparseAutoencoder

_TENSORS = ("encoder", "decoder", "encoder_bias", "input_bias", "decoder_bias")
# What tensors are called elsewhere → whether they are [width, latents].
_ENCODERS = {"encoder": False, "encoder.weight": False, "W_enc": True}
_DECODERS = {"decoder": False, "W_dec": False, "decoder.weight": True}
_ENCODER_BIASES, _DECODER_BIASES = ("encoder_bias", "encoder.bias", "b_enc"), ("decoder_bias", "decoder.bias", "b_dec")


def is_own(found: Found) -> bool:
    """Whether ``SparseAutoencoder.save`` has written it."""
    return found.beside == "linexp"


def read_own(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder."""
    kind = found.setting("sparsity")
    made: dict[str, Any] = {
        "ReLU": ReLU,
        "TopK": lambda: TopK(int(found.setting("k")), bool(found.setting("positive"))),
        "BatchTopK": lambda: BatchTopK(found["threshold"]),
        "JumpReLU": lambda: JumpReLU(found["threshold"]),
    }
    if kind not in made:
        raise ValueError(f"'{found.path}' says sparsity '{kind}', which this version does not know. Update linexp.")
    tensors = {name: found[name] for name in _TENSORS if name in found.tensors}
    return {**tensors, "normalise": found.setting("normalise"), "sparsity": made[kind]()}


def write(sae: SparseAutoencoder, path: Path) -> None:
    """Write an autoencoder to one safetensors file."""
    tensors = {name: value for name in _TENSORS if (value := getattr(sae, name)) is not None}
    said: dict[str, Any] = {"sparsity": type(sae.sparsity).__name__, "normalise": sae.normalise}
    if isinstance(sae.sparsity, TopK):
        said |= {"k": sae.sparsity.k, "positive": sae.sparsity.positive}
    elif isinstance(sae.sparsity, JumpReLU):
        tensors["threshold"] = torch.as_tensor(sae.sparsity.threshold)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(tensors, {"linexp": json.dumps(said, sort_keys=True)}))


def is_plain(found: Found) -> bool:
    """Whether there are an encoder and a decoder under a name that says which they are."""
    return any(name in found.tensors for name in _ENCODERS) and any(name in found.tensors for name in _DECODERS)


def read_plain(found: Found) -> dict[str, Any]:
    """Return what makes an autoencoder of named tensors alone; what they do not say, the caller must."""
    bias, shift = _first(found, _DECODER_BIASES), _first(found, ("input_bias",))
    if shift is None and bias is not None and found.is_centred("holds tensors alone, which do not say"):
        shift = bias
    return {
        "encoder": _matrix(found, _ENCODERS),
        "decoder": _matrix(found, _DECODERS),
        "encoder_bias": _first(found, _ENCODER_BIASES),
        "input_bias": shift,
        "decoder_bias": bias,
        "sparsity": _sparsity(found),
    }


def _sparsity(found: Found) -> Sparsity:
    if found.sparsity is None and "threshold" in found.tensors:
        return JumpReLU(found["threshold"])
    return found.told_sparsity("holds tensors alone, which do not say what stays of the latents")


def _matrix(found: Found, names: dict[str, bool]) -> Tensor:
    name = next(name for name in names if name in found.tensors)
    return found[name].T if names[name] else found[name]


def _first(found: Found, names: tuple[str, ...]) -> Tensor | None:
    return next((found[name] for name in names if name in found.tensors), None)
