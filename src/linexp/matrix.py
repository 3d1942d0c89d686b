"""The two matrices everything else is computed from. Rows are images in both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._checks import closest, listing

# Rows of one product of embeddings: what a product of another shape rounds to may differ in the last bit.
_PIECE = 256

Rows: TypeAlias = Int[Tensor, " rows"] | Sequence[int] | slice
"""Which images: row numbers, or a slice of them."""


@dataclass(frozen=True, eq=False, init=False)
class ActivationMatrix:
    """What each neuron of one layer did on each image: one number per image and neuron.

    Parameters
    ----------
    values
        Activations [images, neurons], finite; anything ``torch.as_tensor`` takes. Kept in float64 if given so, in
        float32 otherwise.
    neurons
        Identifiers of the columns, whole numbers without repeats. Default: 0, 1, 2, …
    layer
        Name of the layer the neurons belong to, as in ``model.named_modules()``.
    images
        Fingerprint of the images, so that matrices of different images are never combined. ``None``: not known.

    Raises
    ------
    ValueError
        The values are not a matrix, are empty, or contain NaN or infinity (the message names neuron and image).
    """

    values: Float[Tensor, "images neurons"]
    neurons: tuple[int, ...] = ()
    layer: str = ""
    images: str | None = None

    def __init__(
        self,
        values: Any,
        neurons: Sequence[int] | None = None,
        layer: str = "",
        images: str | None = None,
    ) -> None:
        tensor = _as_matrix(values, "neurons")
        names = tuple(range(tensor.shape[1])) if neurons is None else tuple(int(neuron) for neuron in neurons)
        _check_names(names, tensor.shape[1], "neurons")
        check_finite_activations(tensor, names, layer)
        _fill(self, values=tensor, neurons=names, layer=layer, images=images)

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return self.values.shape[0]

    @property
    def n_neurons(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    def block(self, rows: Rows) -> Float[Tensor, "rows neurons"]:
        """Return the activations of some images, in the order asked for."""
        return _take(self.values, rows)

    def select(self, neurons: Sequence[int]) -> ActivationMatrix:
        """Return the matrix of some neurons, named by their identifiers, in the order asked for.

        Raises
        ------
        ValueError
            A neuron is not in this matrix.
        """
        place = {neuron: column for column, neuron in enumerate(self.neurons)}
        missing = [neuron for neuron in neurons if neuron not in place]
        if missing:
            raise ValueError(
                f"Neuron {missing[0]} is not among the {self.n_neurons} neurons of layer '{self.layer}' "
                f"({listing(self.neurons, 6)}). Choose among these."
            )
        columns = [place[neuron] for neuron in neurons]
        return ActivationMatrix(self.values[:, columns], list(neurons), self.layer, self.images)


@dataclass(frozen=True, eq=False, init=False)
class ConceptMatrix:
    """How much of each concept is in each image (P in the paper): one number from 0 to 1 per image and concept.

    Parameters
    ----------
    values
        Presence [images, concepts], from 0 (absent) to 1 (present).
    names
        One name per column. Columns of the same name are merged into one, their maximum, with a warning.
    images
        Fingerprint of the images; ``None``: not known.

    Raises
    ------
    ValueError
        The values are not a matrix, are empty, leave [0, 1] or contain NaN (the message names concept and image);
        the number of names differs from the number of columns; a name is empty.
    """

    values: Float[Tensor, "images concepts"]
    names: tuple[str, ...]
    images: str | None = None

    def __init__(self, values: Any, names: Sequence[str], images: str | None = None) -> None:
        tensor = _as_matrix(values, "concepts")
        _check_concept_names(names, tensor.shape[1])
        _check_presence(tensor, names)
        tensor, unique = _merge_duplicates(tensor, tuple(names))
        _fill(self, values=tensor, names=unique, images=images)

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return self.values.shape[0]

    @property
    def n_concepts(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    def block(self, rows: Rows) -> Float[Tensor, "rows concepts"]:
        """Return the presence of all concepts in some images, in the order asked for."""
        return _take(self.values, rows)

    def only(self, names: Sequence[str]) -> ConceptMatrix:
        """Return the matrix of some concepts, in the order asked for.

        Raises
        ------
        ValueError
            A concept is not in this matrix; the message suggests one.
        """
        columns = self._places(names)
        return ConceptMatrix(self.values[:, columns], list(names), self.images)

    def _places(self, names: Sequence[str]) -> Tensor:
        place = {name: column for column, name in enumerate(self.names)}
        missing = [name for name in names if name not in place]
        if missing:
            raise ValueError(
                f"The concept '{missing[0]}' is not among the {len(self.names)} of this matrix"
                f"{f' (nor are {len(missing) - 1} others)' if len(missing) > 1 else ''}."
                f"{closest(missing[0], self.names)} Describe the images with every concept you need: "
                f"{listing(names, 6)}."
            )
        return torch.tensor([place[name] for name in names], dtype=torch.int64)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class EmbeddedConceptMatrix(ConceptMatrix):
    """A concept matrix that is never held whole: σ(a·(cos + b)) of two tables of unit vectors, block by block.

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
    images
        Fingerprint of the images; ``None``: not known.

    Raises
    ------
    ValueError
        The two tables have different numbers of dimensions, a vector is not finite, or the names do not fit.
    """

    image_embeddings: Float[Tensor, "images dims"]
    text_embeddings: Float[Tensor, "concepts dims"]
    a: float
    b: float

    def __init__(
        self,
        image_embeddings: Tensor,
        text_embeddings: Tensor,
        names: Sequence[str],
        a: float,
        b: float,
        images: str | None = None,
    ) -> None:
        pictures, texts = _as_matrix(image_embeddings, "dims"), _as_matrix(text_embeddings, "dims")
        if pictures.shape[1] != texts.shape[1]:
            raise ValueError(
                f"The images are embedded in {pictures.shape[1]} dimensions and the texts in {texts.shape[1]}. "
                "Use one encoder for both."
            )
        if not bool(torch.isfinite(pictures).all() and torch.isfinite(texts).all()):
            raise ValueError("An embedding is NaN or infinite. Look at the encoder and its number format.")
        _check_concept_names(names, len(texts))
        _check_names(tuple(names), len(texts), "concepts")
        _fill(
            self,
            names=tuple(names),
            images=images,
            image_embeddings=pictures.to(torch.float32),
            text_embeddings=texts.to(torch.float32),
            a=a,
            b=b,
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
        chosen = _take(self.image_embeddings, rows)
        pieces = [self._piece(chosen[start : start + _PIECE]) for start in range(0, len(chosen), _PIECE)]
        return torch.cat(pieces) if pieces else torch.empty(0, self.n_concepts)

    def only(self, names: Sequence[str]) -> ConceptMatrix:
        """Return the matrix of some concepts, in the order asked for."""
        texts = self.text_embeddings[self._places(names)]
        return EmbeddedConceptMatrix(self.image_embeddings, texts, names, self.a, self.b, self.images)

    def __repr__(self) -> str:
        return f"EmbeddedConceptMatrix({self.n_images} images, {self.n_concepts} concepts)"

    def _piece(self, embeddings: Tensor) -> Tensor:
        """Return the rows of at most ``_PIECE`` images, by a product that always has the same shape."""
        padded = torch.zeros(_PIECE, embeddings.shape[1])
        padded[: len(embeddings)] = embeddings
        similarity = padded @ self.text_embeddings.T
        return torch.sigmoid(self.a * (similarity + self.b))[: len(embeddings)]


def check_finite_activations(
    values: Float[Tensor, "images neurons"],
    neurons: Sequence[int],
    layer: str,
    image_name: Callable[[int], str] = "image {}".format,
) -> None:
    """Raise ``ValueError`` naming the first neuron and image whose activation is NaN or infinite."""
    finite = torch.isfinite(values)
    if bool(finite.all()):
        return
    row, column = (int(index) for index in torch.nonzero(~finite)[0])
    where = f" of layer '{layer}'" if layer else ""
    raise ValueError(
        f"Neuron {neurons[column]}{where} is {values[row, column].item()} on {image_name(row)} "
        f"({int((~finite).sum())} such values in all). Look at that image and at the model's number format "
        "(float16 overflows at 65,504), or leave the neuron out."
    )


def _as_matrix(values: Any, columns: str) -> Tensor:
    tensor = torch.as_tensor(np.asarray(values) if isinstance(values, (list, tuple)) else values).detach().cpu()
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(
            f"The values have the shape {list(tensor.shape)}. They must be a matrix [images, {columns}] "
            "with at least one row and one column."
        )
    return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)


def _check_names(names: tuple[object, ...], n_columns: int, what: str) -> None:
    if len(names) != n_columns:
        raise ValueError(f"There are {len(names)} names for {n_columns} {what}. Give one for each column.")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} stands for more than one of the {what}. Give each its own.")


def _check_concept_names(names: Sequence[str], n_columns: int) -> None:
    if len(names) != n_columns:
        raise ValueError(f"There are {len(names)} names for {n_columns} concepts. Give one for each column.")
    for column, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"The name of concept {column} is {name!r}. Give every concept a word or phrase.")


def _check_presence(values: Tensor, names: Sequence[str]) -> None:
    outside = ~((values >= 0) & (values <= 1))  # NaN is outside too
    if bool(outside.any()):
        row, column = (int(index) for index in torch.nonzero(outside)[0])
        raise ValueError(
            f"Concept '{names[column]}' is {values[row, column].item()} on image {row}. "
            "The presence of a concept must lie between 0 and 1."
        )


def _merge_duplicates(values: Tensor, names: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    unique = tuple(dict.fromkeys(names))
    if len(unique) == len(names):
        return values, names
    place = {name: column for column, name in enumerate(unique)}
    target = torch.tensor([place[name] for name in names])
    merged = torch.zeros(values.shape[0], len(unique), dtype=values.dtype)
    merged.scatter_reduce_(1, target.expand(values.shape[0], -1), values, "amax")
    repeated = [name for name in unique if names.count(name) > 1]
    warnings.warn(
        f"{len(names) - len(unique)} concept columns had a name already taken and were merged into it "
        f"({listing(repeated)}): an image has the concept if any of them says so.",
        UserWarning,
        stacklevel=4,
    )
    return merged, unique


def _take(values: Tensor, rows: Rows) -> Tensor:
    if isinstance(rows, slice):
        return values[rows]
    numbers = torch.as_tensor(rows)
    return values[numbers if len(numbers) else numbers.long()]  # an empty list becomes a tensor of floats


def _fill(noun: object, **fields: object) -> None:
    """Set the fields of a frozen dataclass inside its own constructor."""
    for name, value in fields.items():
        object.__setattr__(noun, name, value)
