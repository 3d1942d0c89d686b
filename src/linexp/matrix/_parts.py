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
    """Return the values as a matrix on the CPU: float64 if given so, float32 otherwise."""
    tensor = torch.as_tensor(np.asarray(values) if isinstance(values, (list, tuple)) else values).detach().cpu()
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(
            f"The values have the shape {list(tensor.shape)}. They must be a matrix [images, {columns}] "
            "with at least one row and one column."
        )
    return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)


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
