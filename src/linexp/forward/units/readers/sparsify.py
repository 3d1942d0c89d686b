"""EleutherAI's sparsify: ``sae.safetensors`` beside ``cfg.json``."""

from __future__ import annotations

from typing import Any

from linexp.forward.units.readers.found import Found
from linexp.forward.units.sparse import TopK


def is_mine(found: Found) -> bool:
    """Whether sparsify has written it."""
    return found.beside == "cfg.json" and {"encoder.weight", "W_dec"} <= set(found.tensors)


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder.

    References
    ----------
    https://github.com/EleutherAI/sparsify, ``SparseCoder.encode``, version 1.3.
    """
    activation = found.settings.get("activation", "topk")
    if activation != "topk":
        raise ValueError(f"{found.said()} says activation '{activation}', which is not read. Use one with topk.")
    bias = found["b_dec"]
    return {
        "encoder": found["encoder.weight"],
        "decoder": found["W_dec"],
        "encoder_bias": found["encoder.bias"],
        "input_bias": None if found.settings.get("transcode", False) else bias,
        "decoder_bias": bias,
        "sparsity": TopK(int(found.setting("k"))),
    }
