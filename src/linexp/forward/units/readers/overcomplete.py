"""overcomplete: the state dict of a ``SAE``, ``TopKSAE``, ``BatchTopKSAE`` or ``JumpSAE``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from linexp.forward.units.readers.found import Found
from linexp.forward.units.sparse import JumpReLU, Sparsity, from_above

_EPSILON = 1e-5  # torch's for batch normalisation


def is_mine(found: Found) -> bool:
    """Whether it is a state dict of overcomplete."""
    return "dictionary._weights" in found.tensors


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder.

    A state dict says neither k nor BatchTopK's running threshold, nor how the dictionary is normalised: it is taken to
    be the package's default, l2.

    References
    ----------
    https://github.com/KempnerInstitute/overcomplete, ``overcomplete/sae/``, version 0.3.
    """
    rows = found["dictionary._weights"]
    norms = rows.norm(dim=1, keepdim=True) + 1e-8  # theirs
    decoder = rows / norms * found["dictionary.multiplier"].exp()
    encoder, bias = _encoder(found, decoder)
    return {"encoder": encoder, "decoder": decoder, "encoder_bias": bias, "sparsity": _sparsity(found)}


def _sparsity(found: Found) -> Sparsity:
    if "thresholds" in found.tensors:
        return JumpReLU(from_above(found["thresholds"].exp()))
    return found.told_sparsity("is a state dict of overcomplete, which does not say what stays of the latents")


def _encoder(found: Found, decoder: Tensor) -> tuple[Tensor, Tensor | None]:
    names = {name for name in found.tensors if name.startswith("encoder.") and ".tied_to." not in name}
    block, norm = "encoder.final_block.0.", "encoder.final_block.1."
    if names <= {"encoder.weight", "encoder.bias"}:  # tied to the dictionary where it has no weights of its own
        weight = found["encoder.weight"] if "encoder.weight" in names else decoder
        return weight, found["encoder.bias"] if "encoder.bias" in names else None
    rest = names - {block + "weight", block + "bias"}
    if not rest:
        return found[block + "weight"], found[block + "bias"]
    wanted = {norm + name for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}
    if rest != wanted:
        raise ValueError(
            f"'{found.path}' has an encoder of several layers or tokens ({found.listed()}), which is not read. Use one "
            "with the encoder 'linear' or 'mlp_bn_1', or a tied one."
        )
    factor = found[norm + "weight"] * torch.rsqrt(found[norm + "running_var"] + _EPSILON)
    bias = (found[block + "bias"] - found[norm + "running_mean"]) * factor + found[norm + "bias"]
    return found[block + "weight"] * factor[:, None], bias
