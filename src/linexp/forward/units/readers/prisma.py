"""ViT-Prisma: ``weights.pt`` beside ``config.json``."""

from __future__ import annotations

from typing import Any

from linexp.forward.units.readers.found import Found, gated
from linexp.forward.units.sparse import ReLU, Sparsity, TopK

_NORMALISE = {"none": "none", None: "none", "layer_norm": "layer-norm", "constant_norm_rescale": "norm"}


def is_mine(found: Found) -> bool:
    """Whether ViT-Prisma has written it."""
    return found.beside == "config.json" and {"W_enc", "W_dec"} <= set(found.tensors)


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder.

    References
    ----------
    https://github.com/Prisma-Multimodal/ViT-Prisma, ``vit_prisma/sae/sae.py``: ``encode`` of both architectures.
    """
    name = found.setting("normalize_activations")
    if name not in _NORMALISE:
        raise ValueError(f"{found.said()} says normalize_activations '{name}', which is not read. Fold it first.")
    encoder, decoder_bias = found["W_enc"].T, found["b_dec"]
    if found.settings.get("architecture", "standard") == "gated":
        if not isinstance(_sparsity(found), ReLU):
            raise ValueError(f"{found.said()} says both 'gated' and 'topk', which is not read. Use one of them.")
        encoder, encoder_bias, sparsity = gated(encoder, found["r_mag"], found["b_gate"], found["b_mag"])
    else:
        encoder_bias, sparsity = found["b_enc"], _sparsity(found)
    return {
        "encoder": encoder,
        "decoder": found["W_dec"],
        "encoder_bias": encoder_bias,
        "input_bias": decoder_bias,
        "decoder_bias": decoder_bias,
        "sparsity": sparsity,
        "normalise": _NORMALISE[name],
    }


def _sparsity(found: Found) -> Sparsity:
    name, arguments = found.setting("activation_fn_str"), found.settings.get("activation_fn_kwargs") or {}
    if name == "topk":
        return TopK(int(arguments.get("k", 1)))  # theirs if nothing is said
    if name != "relu":
        raise ValueError(f"{found.said()} says activation_fn_str '{name}', which is not read. Use relu or topk.")
    return ReLU()
