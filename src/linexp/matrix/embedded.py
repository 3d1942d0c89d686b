"""A concept matrix that costs the embeddings it is made from: its blocks are computed on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.matrix.base import Rows, as_matrix, check_names, fill, take
from linexp.matrix.concept import ConceptMatrix, check_concept_names

# Rows of one product of embeddings: what a product of another shape rounds to may differ in the last bit.
_PIECE = 256


@dataclass(frozen=True, eq=False, init=False, repr=False)
class EmbeddedConceptMatrix(ConceptMatrix):
    """A concept matrix that is never held whole: σ(s·a·(cos + b)) of two tables of unit vectors, block by block.

    It takes the memory of the embeddings, whatever the number of images times concepts. A row has the same bytes in
    whatever block it is asked for.

    Parameters
    ----------
    image_embeddings, text_embeddings
        Unit vectors [images, dims] and [concepts, dims] from one encoder.
    names
        One name per text, each once.
    a, b
        Calibration of the encoder.
    sharpness
        The s above, above 0: with 1 the presence is the calibrated probability; below 1 it is a flatter function of the
        same cosine, as activations are.
    images
        Fingerprint of the images; ``None``: not known.

    Raises
    ------
    ValueError
        The two tables have different numbers of dimensions, a vector is not finite, ``a`` or ``sharpness`` is not above
        0, or the names do not fit.
    """

    image_embeddings: Float[Tensor, "images dims"]
    text_embeddings: Float[Tensor, "concepts dims"]
    a: float
    b: float
    sharpness: float

    def __init__(
        self,
        image_embeddings: Tensor,
        text_embeddings: Tensor,
        names: Sequence[str],
        a: float,
        b: float,
        images: str | None = None,
        *,
        sharpness: float = 1.0,
    ) -> None:
        pictures, texts = as_matrix(image_embeddings, "dims"), as_matrix(text_embeddings, "dims")
        if pictures.shape[1] != texts.shape[1]:
            raise ValueError(
                f"The images are embedded in {pictures.shape[1]} dimensions and the texts in {texts.shape[1]}. "
                "Use one encoder for both."
            )
        if not bool(torch.isfinite(pictures).all() and torch.isfinite(texts).all()):
            raise ValueError("An embedding is NaN or infinite. Look at the encoder and its number format.")
        if not (math.isfinite(a) and math.isfinite(b) and a > 0):
            raise ValueError(f"The calibration is a = {a}, b = {b}. Give finite numbers, a above 0.")
        if not (math.isfinite(sharpness) and sharpness > 0):
            raise ValueError(
                f"The sharpness is {sharpness}. Give a number above 0; 1 leaves probabilities as they are."
            )
        check_concept_names(names, len(texts))
        check_names(tuple(names), len(texts), "concepts")
        fill(
            self,
            names=tuple(names),
            images=images,
            image_embeddings=pictures.to(torch.float32),
            text_embeddings=texts.to(torch.float32),
            a=a,
            b=b,
            sharpness=sharpness,
        )

    @property
    def values(self) -> Float[Tensor, "images concepts"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of it, made anew at every call: [images, concepts]."""
        return self.block(slice(None))

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return len(self.image_embeddings)

    @property
    def n_concepts(self) -> int:
        """Number of columns."""
        return len(self.names)

    def block(self, rows: Rows) -> Float[Tensor, "rows concepts"]:
        """Return the presence of all concepts in some images, in the order asked for."""
        return self._pieces(rows, lambda cosines: torch.sigmoid(self.sharpness * self.a * (cosines + self.b)))

    def cosines(self, rows: Rows) -> Float[Tensor, "rows concepts"]:
        """Return the cosines of some images with all concepts, in the order asked for; no calibration changes them."""
        return self._pieces(rows, lambda cosines: cosines)

    def only(self, names: Sequence[str]) -> ConceptMatrix:
        """Return the matrix of some concepts, in the order asked for."""
        texts = self.text_embeddings[self.places(names)]
        return self._of(texts, names, self.sharpness)

    def with_sharpness(self, sharpness: float) -> EmbeddedConceptMatrix:
        """Return the same concepts with their presence made sharper or flatter; 1: probabilities."""
        if sharpness == self.sharpness:
            return self
        return self._of(self.text_embeddings, self.names, sharpness)

    def _of(self, texts: Tensor, names: Sequence[str], sharpness: float) -> EmbeddedConceptMatrix:
        return EmbeddedConceptMatrix(
            self.image_embeddings, texts, names, self.a, self.b, self.images, sharpness=sharpness
        )

    def __repr__(self) -> str:
        return f"EmbeddedConceptMatrix({self.n_images} images, {self.n_concepts} concepts)"

    def _pieces(self, rows: Rows, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return changed cosines, made in products and changes that always have the same shape."""
        chosen = take(self.image_embeddings, rows)
        pieces = [torch.empty(0, self.n_concepts)]
        for some in chosen.split(_PIECE):
            padded = torch.zeros(_PIECE, chosen.shape[1])
            padded[: len(some)] = some
            pieces.append(change(padded @ self.text_embeddings.T)[: len(some)])
        return torch.cat(pieces)
