"""Clusters of a layer's vectors: how near each position is to each centre."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linexp._internal.checks import check_choice
from linexp.forward.outputs import Output
from linexp.forward.units.channels import ChannelAxis
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.positions import PerPosition, checked_matrix


@dataclass(frozen=True, eq=False)
class Clusters(PerPosition):
    """Each centre is a unit: which positions belong to it, or how similar they are to it, pooled.

    Parameters
    ----------
    centres
        One centre a row [units, width].
    by
        "assignment": 1 for the nearest centre (smallest Euclidean distance; of equal ones the first) and 0 for the
        others, so that pool "mean" gives the share of positions that belong to each. "similarity": the cosine with the
        centre, in [-1, 1]; 0 for a vector of zeros.
    pool, channels, token, output
        As in ``record``.

    Raises
    ------
    ValueError
        The centres are no matrix, empty, or hold NaN or infinity; ``by`` is something else.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Clusters([[0.0, 0.0], [4.0, 4.0]]).read(torch.tensor([[3.0, 3.0]]), "layer", 1)
    tensor([[0., 1.]])
    """

    centres: Float[Tensor, "units width"] = field(repr=False)
    by: Literal["assignment", "similarity"] = "assignment"
    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        choose_units(None, self.pool, self.channels, self.token, self.output)  # checks them
        check_choice("by", self.by, ("assignment", "similarity"))
        object.__setattr__(self, "centres", checked_matrix("The matrix of centres", self.centres, "units"))

    @property
    def width(self) -> int:
        """Number of channels that a layer must have."""
        return self.centres.shape[1]

    @property
    def n_units(self) -> int:
        """Number of centres."""
        return len(self.centres)

    def encode(self, vectors: Float[Tensor, "... width"]) -> Float[Tensor, "... units"]:
        """Return what each vector has to do with each centre."""
        centres = self.centres.to(vectors)
        if self.by == "similarity":
            return nn.functional.normalize(vectors, dim=-1) @ nn.functional.normalize(centres, dim=-1).T
        # |x - c|² = |x|² - 2 x·c + |c|², of which the first is the same for all centres.
        nearest = (centres.square().sum(1) - 2 * vectors @ centres.T).argmin(-1)
        return nn.functional.one_hot(nearest, len(centres)).to(torch.float32)

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Refuse: there is no one way to move a vector nearer to a centre."""
        del output, unit, values
        raise ValueError(
            "A cluster's value cannot be set, for many vectors have it. Use Directions, of the centres for instance, "
            "for ablation and impact."
        )

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Refuse, as ``set`` does."""
        self.set(output, unit, amounts)
