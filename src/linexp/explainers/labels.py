"""Concepts as zeros and ones, packed into bits, for methods that know present and absent only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from linexp.explainers.fit import BLOCK_ROWS, blocks
from linexp.explainers.usable import Usable
from linexp.explanations import Concept, Formula, names_in
from linexp.matrix import ConceptMatrix
from linexp.solve import AND_NOT, OR, OR_NOT, Words, all_rows, joint_counts, pack_columns


@dataclass(frozen=True, eq=False)
class Labels:
    """Which concepts are present in which of some images, a bit for each.

    Parameters
    ----------
    names
        The concepts; each is present in some of the images and absent in some.
    columns
        Bits [concepts, words].
    n_rows
        Number of images.
    """

    names: tuple[str, ...]
    columns: Words
    n_rows: int

    def only(self, kept: Sequence[bool]) -> Labels:
        """Return some of the concepts."""
        names = tuple(name for name, one in zip(self.names, kept, strict=True) if one)
        if not names:
            raise ValueError(
                f"None of the {len(self.names)} concepts that vary over the training images is of a category. "
                "Give categories of these concepts, or none."
            )
        return Labels(names, np.ascontiguousarray(self.columns[np.array(kept)]), self.n_rows)

    def concept(self, steps: Sequence[tuple[int, int]]) -> Concept | None:
        """Return the formula of operators and columns that a search found; a word where it is one alone."""
        found: Formula | None = None
        for operator, column in steps:
            name = Formula.of(self.names[column])
            leaf = ~name if operator in (AND_NOT, OR_NOT) else name
            joined = found and (found | leaf if operator in (OR, OR_NOT) else found & leaf)
            found = joined or leaf
        return found.name if found is not None and found.operator == "name" else found


def varying(columns: Words, n_rows: int) -> list[bool]:
    """Tell which packed columns are 1 in some rows and 0 in some."""
    counts = joint_counts(columns, all_rows(n_rows)[None])[:, 0]
    return ((counts > 0) & (counts < n_rows)).tolist()


def read_labels(concepts: ConceptMatrix, usable: Usable, present_from: float) -> Labels:
    """Read the usable concepts on the training images, block by block; those left with one class take no part.

    Parameters
    ----------
    concepts
        Presence of the concepts.
    usable
        Which take part.
    present_from
        The smallest presence that counts as present.

    Raises
    ------
    ValueError
        Each is present in every image or in none.

    Warns
    -----
    UserWarning
        Some presence is neither 0 nor 1.
    """
    names = [name for name, kept in zip(concepts.names, usable.columns.tolist(), strict=True) if kept]
    kept = concepts if len(names) == concepts.n_concepts else concepts.only(names)
    columns = pack_columns(_present(kept, usable.train, present_from))
    n_rows = len(usable.train)
    varies = varying(columns, n_rows)
    if not any(varies):
        raise ValueError(
            f"Each of the {len(names)} concepts is present in all {n_rows} training images or in none, present being "
            f"present_from = {present_from} and more. Use concepts that vary over these images, or another "
            "present_from."
        )
    return Labels(tuple(names), columns, n_rows).only(varies)


def _present(concepts: ConceptMatrix, rows: Tensor, present_from: float) -> Iterator[Bool[Tensor, "rows concepts"]]:
    told = False
    for start, block in zip(range(0, len(rows), BLOCK_ROWS), blocks(concepts, rows), strict=True):
        between = None if told else torch.nonzero((block > 0) & (block < 1))
        if between is not None and len(between):
            told = True
            row, column = between[0].tolist()
            warnings.warn(
                f"Presences are not all 0 or 1 (concept '{concepts.names[column]}' is {float(block[row, column]):.3g} "
                f"on image {int(rows[start + row])}), which is all that this method knows: present_from = "
                f"{present_from} and more counts as 1, less as 0.",
                UserWarning,
                stacklevel=5,
            )
        yield block >= present_from


def holds(
    said: Sequence[Concept], concepts: ConceptMatrix, rows: Tensor, present_from: float
) -> Bool[Tensor, "rows said"]:
    """Tell in which images each concept or formula holds."""
    names = tuple(dict.fromkeys(name for one in said for name in names_in(one)))
    place = {one: column for column, one in enumerate(dict.fromkeys(said))}
    pieces: list[Tensor] = []
    for block in blocks(concepts.only(names), rows):
        present = dict(zip(names, (block >= present_from).to(torch.float32).T, strict=True))
        columns = [one.evaluate(present) if isinstance(one, Formula) else present[one] for one in place]
        pieces.append(torch.stack(columns, 1) > 0)
    return torch.cat(pieces)[:, [place[one] for one in said]]
