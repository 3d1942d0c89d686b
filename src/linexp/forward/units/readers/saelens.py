"""SAELens: ``sae_weights.safetensors`` beside ``cfg.json``."""

from __future__ import annotations

import json
from typing import Any

from linexp.forward.units.readers.found import Found, gated
from linexp.forward.units.sparse import JumpReLU, ReLU, Sparsity, TopK

_NORMALISE = {"none": "none", None: "none", "layer_norm": "layer-norm", "constant_norm_rescale": "norm"}


def is_mine(found: Found) -> bool:
    """Whether SAELens has written it."""
    return found.beside == "cfg.json" and "d_sae" in found.settings


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder.

    References
    ----------
    https://github.com/decoderesearch/SAELens, ``sae_lens/saes/``: ``encode`` of each architecture, version 6.54.
    """
    encoder, decoder, decoder_bias = found["W_enc"].T, found["W_dec"], found["b_dec"]
    encoder_bias, sparsity = None, None
    architecture = found.settings.get("architecture", "standard")
    if architecture == "gated":
        encoder, encoder_bias, sparsity = gated(encoder, found["r_mag"], found["b_gate"], found["b_mag"])
    else:
        encoder_bias, sparsity = found["b_enc"], _sparsity(found, architecture)
    if found.settings.get("rescale_acts_by_decoder_norm"):
        norms = decoder.norm(dim=1)
        encoder, encoder_bias, decoder = encoder * norms[:, None], encoder_bias * norms, decoder / norms[:, None]
    normalise = found.settings.get("normalize_activations", "none")
    factor = _factor(found) if normalise == "expected_average_only_in" else 1.0
    if normalise != "expected_average_only_in" and normalise not in _NORMALISE:
        raise ValueError(
            f"{found.said()} says normalize_activations '{normalise}', which is not read. Fold it into the weights "
            "first, with SAELens."
        )
    encoder, decoder, decoder_bias = encoder * factor, decoder / factor, decoder_bias / factor
    centred = bool(found.setting("apply_b_dec_to_input"))
    return {
        "encoder": encoder,
        "decoder": decoder,
        "encoder_bias": encoder_bias,
        "input_bias": decoder_bias if centred else None,
        "decoder_bias": decoder_bias,
        "sparsity": sparsity,
        "normalise": _NORMALISE.get(normalise, "none"),
    }


def _sparsity(found: Found, architecture: str) -> Sparsity:
    if architecture == "jumprelu":
        return JumpReLU(found["threshold"])
    if "topk_threshold" in found.tensors:  # of BatchTopK, before it was saved for inference
        return JumpReLU(found["topk_threshold"])
    if architecture == "topk":
        return TopK(int(found.settings["k"] if "k" in found.settings else _older(found)["k"]))
    name = found.settings.get("activation_fn", found.settings.get("activation_fn_str", "relu"))
    if architecture == "standard" and name == "topk":
        return TopK(int(_older(found)["k"]))
    if architecture != "standard" or name != "relu":
        raise ValueError(
            f"{found.said()} says architecture '{architecture}' and activation '{name}', which are not read. "
            "Use a standard (relu), topk, batchtopk, jumprelu or gated one."
        )
    return ReLU()


def _older(found: Found) -> dict[str, Any]:
    return found.settings.get("activation_fn_kwargs") or found.setting("k")


def _factor(found: Found) -> float:
    """Return by what training multiplied all inputs; SAELens folds it when it loads from its list."""
    beside = found.path.parent / "activation_scaler.json"
    said = json.loads(beside.read_text()) if beside.is_file() else {}
    if said.get("scaling_factor") is None:
        raise ValueError(
            f"{found.said()} says normalize_activations 'expected_average_only_in', and no activation_scaler.json "
            "beside it says by what. Fold it into the weights first, with SAELens."
        )
    return float(said["scaling_factor"])
