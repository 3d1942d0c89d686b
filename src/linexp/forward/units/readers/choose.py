"""Which package has written a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linexp.forward.units.autoencoder import SparseAutoencoder
from linexp.forward.units.readers import dictionary_learning, overcomplete, own, prisma, saelens, saev, sparsify
from linexp.forward.units.readers.found import find
from linexp.forward.units.sparse import Sparsity

# In this order: those with an unmistakable mark first.
READERS = {
    "linexp": (own.is_own, own.read_own),
    "saev": (saev.is_mine, saev.read),
    "overcomplete": (overcomplete.is_mine, overcomplete.read),
    "sparsify": (sparsify.is_mine, sparsify.read),
    "SAELens": (saelens.is_mine, saelens.read),
    "dictionary_learning": (dictionary_learning.is_mine, dictionary_learning.read),
    "ViT-Prisma": (prisma.is_mine, prisma.read),
    "plain tensors": (own.is_plain, own.read_plain),
}


def read_autoencoder(
    path: str | Path,
    *,
    sparsity: Sparsity | None = None,
    subtract_decoder_bias: bool | None = None,
    **settings: Any,
) -> SparseAutoencoder:
    """Return the autoencoder in a file or folder; see ``SparseAutoencoder.load``."""
    found = find(path, sparsity, subtract_decoder_bias)
    for is_mine, read in READERS.values():
        if is_mine(found):
            try:
                return SparseAutoencoder(**read(found), **settings)
            except ValueError as error:
                if str(found.path) in str(error):
                    raise
                raise ValueError(f"'{found.path}': {error}") from error
    raise ValueError(
        f"'{found.path}' is no autoencoder that is known ({', '.join(READERS)}): it holds {found.listed()}. Name its "
        "tensors encoder and decoder, both [latents, width], encoder_bias and decoder_bias."
    )
