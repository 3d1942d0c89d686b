"""What is in a file or folder of an autoencoder, before anybody knows whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from linexp._internal.checks import listing
from linexp.forward.units.sparse import JumpReLU, Sparsity
from linexp.models import read_weights

# What the packages call their weights in a folder, and their settings beside them.
_WEIGHTS = ("sae_weights.safetensors", "sae.safetensors", "ae.pt", "weights.pt", "sae.pt")
_SETTINGS = ("cfg.json", "config.json")
# saev's first line is some hundred bytes; beyond this it is something else.
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Found:
    """Tensors and settings of one autoencoder, and what the caller said of it.

    Parameters
    ----------
    path
        The file of the weights.
    tensors
        From name to tensor.
    settings
        What a file beside it, or its header, says.
    beside
        Name of that file; "header" if it stands in the file itself, "" if there is none.
    sparsity, subtract_decoder_bias
        What the caller says where the file does not.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    beside: str = ""
    sparsity: Sparsity | None = None
    subtract_decoder_bias: bool | None = None

    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor in float32; ``ValueError`` lists what there is."""
        if name not in self.tensors:
            raise ValueError(f"'{self.path}' has no tensor '{name}', but {self.listed()}. Pass the whole autoencoder.")
        return self.tensors[name].detach().to(torch.float32)

    def listed(self) -> str:
        """Return the names of all tensors with their shapes."""
        return listing(f"{name} {list(tensor.shape)}" for name, tensor in self.tensors.items())

    def setting(self, name: str) -> Any:
        """Return a setting that changes the latents; ``ValueError`` if nothing says it."""
        if name not in self.settings:
            raise ValueError(
                f"{self.said()} does not say '{name}', which changes the latents. Add it there, as it was in training."
            )
        return self.settings[name]

    def said(self) -> str:
        """Return what the settings are called in a message."""
        return f"'{self.path.parent / self.beside}'" if self.beside.endswith("json") else f"'{self.path}'"

    def told_sparsity(self, why: str) -> Sparsity:
        """Return the sparsity that the caller gave; ``ValueError`` if there is none and the file says none."""
        if self.sparsity is None:
            raise ValueError(f"{self.said()} {why}. Say it: SparseAutoencoder.load(path, sparsity=TopK(32)).")
        return self.sparsity

    def is_centred(self, why: str) -> bool:
        """Return what the caller said of centring; ``ValueError`` if that is nothing and the file says nothing."""
        if self.subtract_decoder_bias is None:
            raise ValueError(
                f"{self.said()} {why} whether the decoder's bias is subtracted from the input, which changes all "
                "latents. Say it: SparseAutoencoder.load(path, subtract_decoder_bias=True), or False."
            )
        return self.subtract_decoder_bias


def find(path: str | Path, sparsity: Sparsity | None, subtract_decoder_bias: bool | None) -> Found:
    """Read tensors and settings at a path, whoever wrote them.

    Raises
    ------
    FileNotFoundError, ValueError
        See ``SparseAutoencoder.load``.
    """
    file = _weights_file(Path(path).expanduser())
    header, size = _header(file)
    tensors = read_weights(file, skip=size)
    settings, beside = _settings(file)
    if header is not None:
        settings, beside = header, "header"
    return Found(file, tensors, settings, beside, sparsity, subtract_decoder_bias)


def gated(encoder: Tensor, r_mag: Tensor, gate_bias: Tensor, mag_bias: Tensor) -> tuple[Tensor, Tensor, JumpReLU]:
    """Return encoder, bias and sparsity of a gated autoencoder whose gate and magnitude share their weights.

    The magnitude m = exp(r)·e + b is 0 unless e > -b_gate, which is m > b - exp(r)·b_gate: a JumpReLU.
    """
    factor = r_mag.exp()
    return encoder * factor[:, None], mag_bias, JumpReLU(mag_bias - factor * gate_bias)


def _weights_file(path: Path) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no autoencoder '{path}'. Pass the folder or file that its package wrote."
            )
        return path
    inside = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".pt", ".pth"))
    for name in _WEIGHTS:
        if path / name in inside:
            return path / name
    if len(inside) != 1:
        names = listing(file.name for file in sorted(path.iterdir())) or "nothing"
        raise ValueError(f"The folder '{path}' holds {names}, of which none is an autoencoder's. Pass the file itself.")
    return inside[0]


def _settings(file: Path) -> tuple[dict[str, Any], str]:
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as opened:
            own = (opened.metadata() or {}).get("linexp")
        if own is not None:
            return json.loads(own), "linexp"
    for name in _SETTINGS:
        if (file.parent / name).is_file():
            return _parsed((file.parent / name).read_text(encoding="utf-8"), file.parent / name), name
    return {}, ""


def _header(file: Path) -> tuple[dict[str, Any] | None, int]:
    """Return the line of JSON that saev writes before the weights, and its length in bytes."""
    with open(file, "rb") as opened:
        if opened.read(1) != b"{":
            return None, 0
        opened.seek(0)
        line = opened.readline(_LONGEST_HEADER)
    return _parsed(line.decode("utf-8", "replace"), file), len(line)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON ({error}). Pass what the package wrote.") from error
    if not isinstance(found, dict):
        raise ValueError(f"'{path}' holds a {type(found).__name__} and no settings. Pass what the package wrote.")
    return found
