"""A link: how a neuron's activation rises with the weighted sum of an explanation, as a few straight pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from linexp._internal.numbers import format_number


@dataclass(frozen=True)
class Link:
    """A piecewise linear function that never falls: activation ≈ link(Σ weight·P(concept) + bias).

    Between two knots it is straight; beyond the first and the last it goes on as between the two next to them.

    Parameters
    ----------
    inputs
        Where it bends: at least two weighted sums, each larger than the one before.
    outputs
        The activations predicted there, none smaller than the one before.

    Raises
    ------
    ValueError
        There are fewer than two knots, not as many outputs as inputs, a number is not finite, or one falls.

    Examples
    --------
    >>> link = Link((0.0, 1.0, 2.0), (0.0, 0.1, 1.1))
    >>> link(torch.tensor([-1.0, 0.5, 3.0], dtype=torch.float64)).round(decimals=6).tolist()
    [-0.1, 0.05, 2.1]
    """

    inputs: tuple[float, ...]
    outputs: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.inputs) < 2 or len(self.inputs) != len(self.outputs):
            raise ValueError(
                f"The link has {len(self.inputs)} inputs and {len(self.outputs)} outputs. "
                "Give as many of both, at least two."
            )
        if not all(map(math.isfinite, (*self.inputs, *self.outputs))):
            raise ValueError(f"The link '{self}' has a number that is not finite. Give finite ones.")
        rises = all(one < other for one, other in zip(self.inputs, self.inputs[1:], strict=False))
        if not rises or any(one > other for one, other in zip(self.outputs, self.outputs[1:], strict=False)):
            raise ValueError(f"The link '{self}' falls. Give inputs that rise and outputs that never fall.")

    def __call__(self, sums: Tensor) -> Tensor:
        """Return the activations predicted for some weighted sums, in float64."""
        inputs, outputs = np.array(self.inputs), np.array(self.outputs)
        slopes = np.diff(outputs) / np.diff(inputs)
        values = sums.detach().to(torch.float64).numpy()
        piece = np.clip(np.searchsorted(inputs, values, side="right") - 1, 0, len(slopes) - 1)
        return torch.from_numpy(outputs[piece] + slopes[piece] * (values - inputs[piece]))

    def __str__(self) -> str:
        pairs = zip(self.inputs, self.outputs, strict=False)
        return ", ".join(f"{format_number(one)} → {format_number(other)}" for one, other in pairs)

    def to_text(self) -> str:
        """Write it into a cell of a table, with all digits: "0.1:0.0 0.5:0.3"."""
        return " ".join(f"{one!r}:{other!r}" for one, other in zip(self.inputs, self.outputs, strict=True))

    @staticmethod
    def parse(text: str) -> Link:
        """Read what ``to_text`` wrote.

        Raises
        ------
        ValueError
            It is something else.
        """
        pairs = [knot.split(":") for knot in text.split()]
        try:
            knots = [(float(one), float(other)) for one, other in pairs]
        except ValueError as error:
            raise ValueError(f"'{text[:60]}' is no link such as 0.1:0.0 0.5:0.3") from error
        return Link(tuple(one for one, _ in knots), tuple(other for _, other in knots))
