"""Latents of a sparse autoencoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_choice
from linexp.forward.outputs import Output
from linexp.forward.units.channels import ChannelAxis
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.positions import PerPosition, checked_matrix, over_positions
from linexp.forward.units.sparse import ReLU, Sparsity, TopK

Normalise = Literal["none", "layer-norm", "norm"]
_EPSILON = 1e-5  # SAELens' and ViT-Prisma's, beside the deviation


@dataclass(frozen=True, eq=False)
class SparseAutoencoder(PerPosition):
    """Each latent of a sparse autoencoder is a unit; each position or token is encoded, and latents are pooled.

    ``latents = sparsity(encoder @ (normalise(x) - input_bias) + encoder_bias)``

    Parameters
    ----------
    encoder, decoder
        One latent a row [latents, width].
    encoder_bias
        What is added before ``sparsity`` [latents]. Default: 0.
    input_bias
        What is subtracted from each vector first [width]; in most packages the decoder's bias. Default: nothing.
    decoder_bias
        What is added to what is decoded [width]. Default: 0.
    sparsity
        ``ReLU()``, ``TopK(k)``, ``BatchTopK(threshold)`` or ``JumpReLU(threshold)``.
    normalise
        What is done to each vector before all this: "none"; "layer-norm": its mean is subtracted, and it is divided by
        its standard deviation (of a sample); "norm": it is scaled to the Euclidean norm √width.
    pool, channels, token, output
        As in ``record``.

    Raises
    ------
    ValueError
        A matrix or bias is NaN or infinite, or of another shape; k is larger than the number of latents.

    Notes
    -----
    To set a latent adds what its decoder column writes for the difference to each position, and leaves what the
    autoencoder does not reconstruct as it is. The encoder, looking again, need not read exactly that value.
    """

    encoder: Float[Tensor, "latents width"] = field(repr=False)
    decoder: Float[Tensor, "latents width"] = field(repr=False)
    encoder_bias: Float[Tensor, " latents"] | None = field(default=None, repr=False)
    input_bias: Float[Tensor, " width"] | None = field(default=None, repr=False)
    decoder_bias: Float[Tensor, " width"] | None = field(default=None, repr=False)
    sparsity: Sparsity = field(default_factory=ReLU)
    normalise: Normalise = "none"
    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        choose_units(None, self.pool, self.channels, self.token, self.output)  # checks them
        check_choice("normalise", self.normalise, ("none", "layer-norm", "norm"))
        encoder = checked_matrix("The encoder", self.encoder, "latents")
        decoder = checked_matrix("The decoder", self.decoder, "latents")
        if encoder.shape != decoder.shape:
            raise ValueError(
                f"The encoder is {list(encoder.shape)} and the decoder {list(decoder.shape)}. "
                "Give both [latents, width]."
            )
        n_latents, width = encoder.shape
        if isinstance(self.sparsity, TopK) and self.sparsity.k > n_latents:
            raise ValueError(f"k is {self.sparsity.k}, and there are {n_latents} latents. Use at most {n_latents}.")
        lengths = {"encoder_bias": n_latents, "input_bias": width, "decoder_bias": width}
        biases = {name: _checked_bias(name, getattr(self, name), length) for name, length in lengths.items()}
        for name, value in {"encoder": encoder, "decoder": decoder, **biases}.items():
            object.__setattr__(self, name, value)
        threshold = getattr(self.sparsity, "threshold", None)
        if threshold is not None and threshold.ndim and threshold.shape != (n_latents,):
            raise ValueError(f"There are {threshold.numel()} thresholds for {n_latents} latents. Give one for each.")

    @classmethod
    def load(cls, path: str | Path, **settings: Any) -> SparseAutoencoder:
        """Read what SAELens, sparsify, ViT-Prisma, overcomplete, saev or dictionary_learning has written.

        Parameters
        ----------
        path
            The folder with weights and settings, or the weights' file; also a safetensors file of one's own. Nothing
            is ever unpickled but tensors.
        settings
            Pool, channels, token, output; and what a file does not say: ``sparsity``, ``subtract_decoder_bias``.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            No package writes such a file (the message lists the tensors in it), or it lacks something that changes
            the latents.
        """
        from linexp.forward.units.readers import read_autoencoder  # it needs this class

        return read_autoencoder(path, **settings)

    def save(self, path: str | Path) -> None:
        """Write it, without how it is pooled, to one safetensors file, which ``load`` reads.

        Raises
        ------
        OSError
            It cannot be written.
        """
        from linexp.forward.units.readers import write  # it needs this class

        write(self, Path(path))

    @property
    def width(self) -> int:
        """Number of channels that a layer must have."""
        return self.encoder.shape[1]

    @property
    def n_units(self) -> int:
        """Number of latents."""
        return len(self.encoder)

    def encode(self, vectors: Float[Tensor, "... width"]) -> Float[Tensor, "... latents"]:
        """Return the latents of each vector, as the package that made the autoencoder does."""
        inputs = self._normalised(vectors)
        if self.input_bias is not None:
            inputs = inputs - self.input_bias.to(inputs)
        before = inputs @ self.encoder.to(inputs).T
        return self.sparsity(before if self.encoder_bias is None else before + self.encoder_bias.to(inputs))

    def decode(self, latents: Float[Tensor, "... latents"]) -> Float[Tensor, "... width"]:
        """Return what latents write, in the space of the normalised vectors."""
        decoded = latents @ self.decoder.to(latents)
        return decoded if self.decoder_bias is None else decoded + self.decoder_bias.to(latents)

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Write the difference to the value along the decoder's column, at each position; see the class's notes."""
        self._write(self._places(output), unit, values)

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Refuse: latents that are 0 cannot rise by an amount and keep their pattern."""
        del output, unit, amounts
        raise ValueError(
            "A latent's pattern over positions cannot be kept while it is changed, for it is 0 at most of them. Set it "
            "everywhere (replace='set', --replace set), or take one token (pool 'token')."
        )

    def remove(self, output: Float[Tensor, "images ..."], unit: int) -> None:
        """Take out what the latent writes at all positions; in all tokens, as ``Token`` does."""
        places = output.movedim(self.axis(output.ndim), -1)
        self._write(places, unit, output.new_zeros(len(output)))

    def _write(self, places: Tensor, unit: int, values: Tensor) -> None:
        for one, value in zip(places, values, strict=True):  # an image at a time: all latents are made for a TopK
            latent = self.encode(one.to(torch.float32))[..., unit]
            change = (over_positions(value[None].to(latent), latent[None])[0] - latent) * self._scale(one)
            one.add_((change[..., None] * self.decoder[unit].to(change)).to(one))

    def _normalised(self, vectors: Tensor) -> Tensor:
        if self.normalise == "layer-norm":
            vectors = vectors - vectors.mean(-1, keepdim=True)
        return vectors if self.normalise == "none" else vectors / self._scale(vectors)[..., None]

    def _scale(self, vectors: Tensor) -> Tensor:
        """Return by what each vector is divided in normalising."""
        if self.normalise == "layer-norm":
            return vectors.float().std(-1) + _EPSILON
        if self.normalise == "norm":
            return vectors.float().norm(dim=-1) / self.width**0.5
        return vectors.new_ones(vectors.shape[:-1], dtype=torch.float32)


def _checked_bias(name: str, values: Any, length: int) -> Tensor | None:
    if values is None:
        return None
    bias = checked_matrix(name, torch.as_tensor(values).reshape(1, -1), name)[0]
    if len(bias) != length:
        raise ValueError(f"{name} has {len(bias)} numbers and must have {length}. Give one for each.")
    return bias
