"""The one place that knows how a concept of an explanation becomes a column of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.matrix import ConceptMatrix


class Columns:
    """Presence of some concepts, in the order asked for.

    Parameters
    ----------
    concepts
        Presence of (at least) these concepts.
    names
        Concepts as explanations name them; there may be none.

    Raises
    ------
    ValueError
        A concept is not in the matrix.
    """

    def __init__(self, concepts: ConceptMatrix, names: Sequence[str]) -> None:
        self._n_images = concepts.n_images
        self._matrix = concepts.only(names) if names else None  # no matrix is without columns

    def block(self, rows: slice | Tensor | None = None) -> Float[Tensor, "rows used"]:
        """Return the columns for some images, or for all."""
        rows = slice(None) if rows is None else rows
        if self._matrix is None:
            return torch.zeros(len(torch.arange(self._n_images)[rows]), 0)
        return self._matrix.block(rows)


def first_unknown(concepts: ConceptMatrix, names: Sequence[str]) -> str | None:
    """Return the first of some concepts that is no column of the matrix, before anything is computed."""
    known = set(concepts.names)
    return next((name for name in names if name not in known), None)
