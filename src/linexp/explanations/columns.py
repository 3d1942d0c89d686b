"""The one place that knows how a concept of an explanation becomes a column of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.explanations.formula import Concept, Formula, names_in
from linexp.matrix import ConceptMatrix, Rows


class Columns:
    """Presence of some concepts, in the order asked for; a formula is made of the concepts it names, block by block.

    Parameters
    ----------
    concepts
        Presence of (at least) these concepts.
    wanted
        Concepts as explanations name them; there may be none.

    Raises
    ------
    ValueError
        A concept is not in the matrix.
    """

    def __init__(self, concepts: ConceptMatrix, wanted: Sequence[Concept]) -> None:
        known = set(concepts.names)
        for concept in wanted:
            if isinstance(concept, Formula):
                concept.check_known(known)
        self._n_images, self._wanted = concepts.n_images, tuple(wanted)
        self._names = tuple(dict.fromkeys(name for concept in wanted for name in names_in(concept)))
        self._matrix = concepts.only(self._names) if wanted else None  # no matrix is without columns

    def block(self, rows: Rows | None = None) -> Float[Tensor, "rows wanted"]:
        """Return the columns for some images, or for all."""
        rows = slice(None) if rows is None else rows
        if self._matrix is None:
            return torch.zeros(len(torch.arange(self._n_images)[rows]), 0)
        present = self._matrix.block(rows)
        if self._names == self._wanted:  # words alone
            return present
        of = dict(zip(self._names, present.T, strict=True))
        columns = [one.evaluate(of) if isinstance(one, Formula) else of[one] for one in self._wanted]
        return torch.stack(columns, 1)


def first_unknown(concepts: ConceptMatrix, wanted: Sequence[Concept]) -> str | None:
    """Return the first word of some concepts that is no column of the matrix, before anything is computed."""
    known = set(concepts.names)
    return next((name for concept in wanted for name in names_in(concept) if name not in known), None)
