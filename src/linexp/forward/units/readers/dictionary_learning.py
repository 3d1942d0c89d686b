"""dictionary_learning: ``ae.pt`` beside ``config.json``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from linexp.forward.units.readers.found import Found, gated
from linexp.forward.units.sparse import BatchTopK, JumpReLU, ReLU, Sparsity, TopK


def is_mine(found: Found) -> bool:
    """Whether dictionary_learning has written it."""
    return found.path.name == "ae.pt" or "trainer" in found.settings


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder; which class it is, the tensors say, but for TopK and BatchTopK.

    References
    ----------
    https://github.com/saprmarks/dictionary_learning, ``dictionary.py`` and ``trainers/``, version 0.1.
    """
    if "W_enc" in found.tensors:
        return _of_parameters(found)
    encoder, decoder = found["encoder.weight"], found["decoder.weight"].T
    if "gate_bias" in found.tensors:
        bias = found["decoder_bias"]
        encoder, encoder_bias, sparsity = gated(encoder, found["r_mag"], found["gate_bias"], found["mag_bias"])
        return _made(encoder, decoder, encoder_bias, bias, bias, sparsity)
    encoder_bias = found["encoder.bias"]
    if "b_dec" in found.tensors:
        return _made(encoder, decoder, encoder_bias, found["b_dec"], found["b_dec"], _top(found))
    if "decoder.bias" in found.tensors:  # AutoEncoderNew
        return _made(encoder, decoder, encoder_bias, None, found["decoder.bias"], ReLU())
    norms = decoder.norm(dim=1)
    if not torch.allclose(norms, torch.ones_like(norms)):  # as AutoEncoder.from_pretrained does
        encoder, encoder_bias, decoder = encoder * norms[:, None], encoder_bias * norms, decoder / norms[:, None]
    return _made(encoder, decoder, encoder_bias, found["bias"], found["bias"], ReLU())


def _of_parameters(found: Found) -> dict[str, Any]:
    encoder, bias = found["W_enc"].T, found["b_dec"]
    if "group_sizes" in found.tensors:  # MatryoshkaBatchTopKSAE
        return _made(encoder, found["W_dec"], found["b_enc"], bias, bias, BatchTopK(found["threshold"]))
    centred = bool(found.subtract_decoder_bias)  # not in JumpReluAutoEncoder, unless it came from SAELens
    threshold = JumpReLU(found["threshold"])
    return _made(encoder, found["W_dec"], found["b_enc"], bias if centred else None, bias, threshold)


def _top(found: Found) -> Sparsity:
    if found.sparsity is not None:
        return found.sparsity
    name = found.settings.get("trainer", {}).get("dict_class", "")
    if name not in ("AutoEncoderTopK", "BatchTopKSAE"):
        why = "has no config.json beside it with trainer.dict_class, and TopK and BatchTopK look the same"
        return found.told_sparsity(why)
    if name == "BatchTopKSAE":
        return BatchTopK(found["threshold"])
    return TopK(int(found["k"]))


def _made(
    encoder: Tensor,
    decoder: Tensor,
    encoder_bias: Tensor,
    input_bias: Tensor | None,
    decoder_bias: Tensor,
    sparsity: Sparsity,
) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "decoder": decoder,
        "encoder_bias": encoder_bias,
        "input_bias": input_bias,
        "decoder_bias": decoder_bias,
        "sparsity": sparsity,
    }
