"""What both kinds of matrix share: shape, names of columns, and taking rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

Rows: TypeAlias = Int[Tensor, " rows"] | Sequence[int] | slice
"""Which images: row numbers, or a slice of them."""


def as_matrix(values: Any, columns: str) -> Tensor:
    """Return the values as a matrix on the CPU: float64 if given so, float32 otherwise.

    Raises
    ------
    ValueError
        They are no matrix, or empty.
    TypeError
        They are no numbers.
    """
    tensor = (values if isinstance(values, Tensor) else _from_array(values, columns)).detach().cpu()
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(
            f"The values have the shape {list(tensor.shape)}. They must be a matrix [images, {columns}] "
            "with at least one row and one column."
        )
    return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)


def is_table(values: Any) -> bool:
    """Whether the values have names of their own for their columns, as those of pandas have."""
    return hasattr(values, "to_numpy") and hasattr(values, "columns")


def _from_array(values: Any, columns: str) -> Tensor:
    """Return a tensor of an array, a list, or anything that knows how to become an array."""
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if array.dtype == object:  # tables of several kinds of numbers, or with gaps
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"The values are a {type(values).__name__} that does not hold numbers alone ({error}). "
                f"Give a matrix [images, {columns}] of numbers, without gaps."
            ) from error
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"The values are a {type(values).__name__} of {array.dtype}. "
            f"Give a matrix [images, {columns}] of numbers, without gaps."
        )
    # torch warns of arrays that cannot be written, as those of pandas; it knows no other order of bytes than its own.
    strange = not (array.flags.writeable and array.dtype.isnative) or any(step < 0 for step in array.strides)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")) if strange else array)


def check_names(names: tuple[object, ...], n_columns: int, what: str) -> None:
    """Raise ``ValueError`` unless every column has a name of its own."""
    if len(names) != n_columns:
        raise ValueError(f"There are {len(names)} names for {n_columns} {what}. Give one for each column.")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated!r} stands for more than one of the {what}. Give each its own.")


def take(values: Tensor, rows: Rows) -> Tensor:
    """Return some rows of a table, in the order asked for."""
    if isinstance(rows, slice):
        return values[rows]
    numbers = torch.as_tensor(rows)
    return values[numbers if len(numbers) else numbers.long()]  # an empty list becomes a tensor of floats


def fill(noun: object, **fields: object) -> None:
    """Set the fields of a frozen dataclass inside its own constructor."""
    for name, value in fields.items():
        object.__setattr__(noun, name, value)
