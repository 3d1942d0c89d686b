"""saev: one file, a line of JSON and behind it the weights."""

from __future__ import annotations

from typing import Any

from linexp.forward.units.readers.found import Found
from linexp.forward.units.sparse import ReLU, Sparsity, TopK


def is_mine(found: Found) -> bool:
    """Whether saev has written it."""
    return found.beside == "header"


def read(found: Found) -> dict[str, Any]:
    """Return what makes the autoencoder.

    References
    ----------
    https://github.com/OSU-NLP-Group/saev, ``saev/nn.py`` of version 0.1 and ``saev/nn/modeling.py``.
    """
    bias = found["b_dec"]
    return {
        "encoder": found["W_enc"].T,
        "decoder": found["W_dec"],
        "encoder_bias": found["b_enc"],
        "input_bias": bias if _is_centred(found) else None,
        "decoder_bias": bias,
        "sparsity": found.sparsity or _sparsity(found),
    }


def _is_centred(found: Found) -> bool:
    """Say whether the decoder's bias is subtracted: in version 0.1, whose files have no schema, it is; later not."""
    if found.subtract_decoder_bias is not None:
        return found.subtract_decoder_bias
    if "schema" not in found.settings:
        return True
    return found.settings["schema"] != 2 and found.is_centred(
        f"is of saev's schema {found.settings['schema']}, which does not say"
    )


def _sparsity(found: Found) -> Sparsity:
    settings = found.settings.get("cfg", {})
    activation = settings.get("activation", {"cls": found.settings.get("cls", "Relu"), "params": settings})
    name, numbers = activation["cls"], activation.get("params", {})
    if name in ("TopK", "BatchTopK"):  # their BatchTopK keeps the largest of each vector, too
        return TopK(int(numbers.get("top_k", 32)), positive=False)
    if name not in ("Relu", "SparseAutoencoderConfig"):
        raise ValueError(
            f"'{found.path}' says the activation '{name}', which is not read. Use Relu, TopK or BatchTopK."
        )
    return ReLU()
