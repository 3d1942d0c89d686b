"""What is in the images: one number from 0 to 1 per image and concept."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_text, closest, listing
from linexp.matrix.base import Rows, as_matrix, fill, is_table, take


@dataclass(frozen=True, eq=False, init=False)
class ConceptMatrix:
    """How much of each concept is in each image (P in the paper): one number from 0 to 1 per image and concept.

    Parameters
    ----------
    values
        Presence [images, concepts], from 0 (absent) to 1 (present): a tensor, an array, or a table (pandas).
    names
        One name per column. Columns of the same name are merged into one, their maximum, with a warning. Default: a
        table's own columns.
    images
        Fingerprint of the images; ``None``: not known.

    Raises
    ------
    ValueError
        The values are not a matrix, are empty, leave [0, 1] or contain NaN (the message names concept and image);
        the number of names differs from the number of columns; a name is empty, or there are none.
    TypeError
        The values are no numbers.
    """

    values: Float[Tensor, "images concepts"]
    names: tuple[str, ...]
    images: str | None = None

    def __init__(self, values: Any, names: Sequence[str] | None = None, images: str | None = None) -> None:
        tensor = as_matrix(values, "concepts")
        if names is None:
            names = _own_names(values, tensor.shape[1])
        check_concept_names(names, tensor.shape[1])
        _check_presence(tensor, names)
        tensor, unique = _merge_duplicates(tensor, tuple(names))
        fill(self, values=tensor, names=unique, images=images)

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
        return take(self.values, rows)

    def with_sharpness(self, sharpness: float) -> ConceptMatrix:
        """Return the matrix with presences made sharper or flatter: this one, where no calibration makes them."""
        return self

    def as_probabilities(self) -> ConceptMatrix:
        """Return the matrix whose presences are probabilities: the one with a sharpness of 1."""
        return self.with_sharpness(1)

    def only(self, names: Sequence[str]) -> ConceptMatrix:
        """Return the matrix of some concepts, in the order asked for.

        Raises
        ------
        ValueError
            A concept is not in this matrix; the message suggests one.
        """
        columns = self.places(names)
        return ConceptMatrix(self.values[:, columns], list(names), self.images)

    def places(self, names: Sequence[str]) -> Int[Tensor, " concepts"]:
        """Return the columns of some concepts, in the order asked for."""
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


def _own_names(values: Any, n_columns: int) -> tuple[str, ...]:
    if not is_table(values):
        raise ValueError(f"There are no names for {n_columns} concepts. Give one for each column.")
    return tuple(values.columns)


def check_concept_names(names: Sequence[str], n_columns: int) -> None:
    """Raise ``ValueError`` unless there is one text that is not empty, and can be saved, for each column."""
    if len(names) != n_columns:
        raise ValueError(f"There are {len(names)} names for {n_columns} concepts. Give one for each column.")
    for column, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"The name of concept {column} is {name!r}. Give every concept a word or phrase.")
        check_text(name, f"The name of concept {column}")


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
