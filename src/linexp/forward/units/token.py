"""One token of a sequence: each of its features is a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit, activations_of, own_copy


@dataclass(frozen=True)
class Token(Unit):
    """Each feature of one token of [images, tokens, features] is a unit.

    Parameters
    ----------
    token
        Which token; 0 is the class token (CLS) of vision transformers.
    output
        As in ``Channels``.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Token(1).read(torch.tensor([[[9.0, 0.0], [1.0, 2.0]]]), "layer", 1)
    tensor([[1., 2.]])
    """

    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        check_at_least("token", self.token, 0)

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return the features of the token; see ``Unit.read``."""
        tensor = activations_of(output, self.output, layer, n_images)
        shape = list(tensor.shape)
        if tensor.ndim <= 2:
            raise ValueError(f"Layer '{layer}' returns {shape}, which has no tokens. Use pool 'mean' or 'none'.")
        if tensor.ndim != 3 or tensor.shape[1] <= self.token:
            raise ValueError(
                f"Layer '{layer}' returns {shape}, which has no token {self.token} "
                "(tokens are [images, tokens, neurons]). Use pool 'mean' or 'max'."
            )
        return own_copy(tensor[:, self.token])

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Make a feature of the token the value; see ``Unit.set``."""
        output[:, self.token, unit] = values

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Add the amount to a feature of the token; see ``Unit.shift``."""
        output[:, self.token, unit] += amounts

    def remove(self, output: Float[Tensor, "images ..."], unit: int) -> None:
        """Make the feature 0 in all tokens: a neuron is one weight row of the layer, whose token only orders images."""
        output[..., unit] = 0

    def active(self, output: Float[Tensor, "images ..."]) -> Bool[Tensor, "images units"]:
        """Say in which images a feature is not 0 in all tokens."""
        return (output != 0).any(1)

    @property
    def linear(self) -> Token:
        """A token is read as it is."""
        return self

    @property
    def has_pattern(self) -> bool:
        """A token is one position."""
        return False
