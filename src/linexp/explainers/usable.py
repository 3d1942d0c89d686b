"""Which concepts take part: those that vary over the training images and are present enough in some of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from linexp.explainers.fit import blocks
from linexp.explanations import DroppedConcept
from linexp.matrix import ConceptMatrix, Split
from linexp.solve import ColumnRange, measure_columns


@dataclass(frozen=True, eq=False)
class Usable:
    """What ``find_usable`` found, which every layer and every method can share.

    Parameters
    ----------
    names
        All concepts of the matrix.
    columns
        Which of them take part.
    dropped
        The others, each with the reason.
    train
        The images that were looked at.
    min_activity
        The smallest mean of the five highest presences.
    """

    names: tuple[str, ...]
    columns: Bool[Tensor, " concepts"]
    dropped: tuple[DroppedConcept, ...]
    train: Tensor
    min_activity: float

    def check(self, concepts: ConceptMatrix, split: Split, min_activity: float) -> None:
        """Raise ``ValueError`` unless it was found in these concepts, on these images, with this setting."""
        same = self.names == concepts.names and torch.equal(self.train, split.train)
        if not same or self.min_activity != min_activity:
            raise ValueError(
                f"The usable concepts were found among {len(self.names)} concepts on {len(self.train)} training images "
                f"with min_activity = {self.min_activity}, and not among these {concepts.n_concepts} on these "
                f"{len(split.train)} with {min_activity}. Leave them out, or find them again."
            )


def find_usable(concepts: ConceptMatrix, split: Split, min_activity: float) -> Usable:
    """Find the concepts that can be terms at all, in one pass over the training images.

    Those whose five highest presences among these have a mean below ``min_activity`` are left out.

    Raises
    ------
    ValueError
        None is left.
    """
    columns = measure_presence(concepts, split.train)
    usable = usable_columns(columns, min_activity)
    if not bool(usable.any()):
        raise ValueError(
            f"None of the {len(usable)} concepts is left: each is constant on the training images, or the "
            f"mean of its five highest presences is below min_activity = {min_activity}. Use concepts that "
            "vary over these images, more images, or a lower min_activity."
        )
    facts = zip(concepts.names, columns.is_constant.tolist(), columns.top_mean.tolist(), usable.tolist(), strict=True)
    dropped = tuple(
        DroppedConcept(name, "constant" if constant else "weak", activity, float(min_activity))
        for name, constant, activity, kept in facts
        if not kept
    )
    return Usable(concepts.names, usable, dropped, split.train, min_activity)


def measure_presence(concepts: ConceptMatrix, train: Tensor) -> ColumnRange:
    """Return the extremes of each concept's probability: which take part does not depend on the sharpness."""
    return measure_columns(blocks(concepts.as_probabilities(), train))


def usable_columns(columns: ColumnRange, min_activity: float) -> Bool[Tensor, " concepts"]:
    """Tell which columns vary and are present enough; there may be none."""
    return (columns.top_mean >= min_activity) & ~columns.is_constant
