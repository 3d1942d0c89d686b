"""A channel of a layer: its positions are pooled to one number (the summary function g of the paper)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_choice
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit, activations_of, own_copy

ChannelAxis = Literal["auto", "first", "last"]
Pooled = Literal["mean", "max", "none"]


def check_channels(channels: ChannelAxis, shape: list[int], layer: str) -> None:
    """Raise ``ValueError`` if nobody said where the channels are and the output looks as if they were last."""
    if channels == "auto" and len(shape) > 3 and shape[-3] == shape[-2] != shape[-1]:
        raise ValueError(
            f"Layer '{layer}' returns {shape}, which looks like [images, height, width, channels]: {shape[-1]} "
            f"neurons and not {shape[1]}. Say where the channels are: channels='last' or 'first' "
            "(--channels last or first)."
        )


@dataclass(frozen=True)
class Channels(Unit):
    """Each channel of a feature map, each feature of a sequence of tokens, or each scalar is a unit.

    Parameters
    ----------
    pool
        "mean" or "max" over all positions or tokens (class tokens included); "none": the output must be scalars
        [images, neurons] already. Scalars pass through "mean" and "max" unchanged.
    channels
        Where the channels of outputs with four and more axes are: "first" [images, channels, …] or "last". "auto" takes
        the first, but refuses what looks like [images, height, width, channels]: two equal axes before another last
        one. Outputs with three axes are [images, tokens, neurons].
    output
        Which tensor is meant where a layer returns several: a name ("latents", "1", "0.2") or a place. Default: the
        first.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Channels("max").read(torch.tensor([[[[1.0], [5.0]]]]), "layer", 1)
    tensor([[5.]])
    """

    pool: Pooled = "mean"
    channels: ChannelAxis = "auto"
    output: Output = None

    def __post_init__(self) -> None:
        check_choice("pool", self.pool, ("mean", "max", "none"))
        check_choice("channels", self.channels, ("auto", "first", "last"))

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return the pooled channels; see ``Unit.read``."""
        tensor = activations_of(output, self.output, layer, n_images)
        shape = list(tensor.shape)
        if tensor.ndim <= 2:
            return own_copy(tensor.reshape(n_images, -1))
        if self.pool == "none":
            raise ValueError(
                f"Layer '{layer}' returns {shape}, not one number per neuron, and pool is 'none'. "
                "Use pool 'mean' or 'max'."
            )
        check_channels(self.channels, shape, layer)
        positions = self._positions_last(tensor)
        if self.pool == "max":
            return positions.amax(-1).to(torch.float32)
        # Sums of half-precision numbers are taken in float32, where they neither overflow nor drift.
        exact = torch.promote_types(tensor.dtype, torch.float32)
        return positions.mean(-1, dtype=exact).to(torch.float32)

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Make all positions of a channel the value; see ``Unit.set``."""
        place = self._place(output, unit)
        place.copy_(values.reshape(-1, *[1] * (place.ndim - 1)).expand_as(place))

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Add the amount to all positions of a channel; see ``Unit.shift``."""
        place = self._place(output, unit)
        place.add_(amounts.reshape(-1, *[1] * (place.ndim - 1)))

    def active(self, output: Float[Tensor, "images ..."]) -> Bool[Tensor, "images units"]:
        """Say in which images a channel is not 0 at all positions."""
        by_unit = output.movedim(self.axis(output.ndim), 1)
        return (by_unit.reshape(*by_unit.shape[:2], -1) != 0).any(2)

    @property
    def linear(self) -> Channels:
        """What a linear head sees is a mean, whatever orders the images."""
        return replace(self, pool="mean") if self.pool == "max" else self

    def axis(self, n_axes: int) -> int:
        """Return which axis of the output is the channels, as ``channels`` says."""
        return n_axes - 1 if self.channels == "last" else super().axis(n_axes)

    def _positions_last(self, tensor: Tensor) -> Tensor:
        """Return [images, channels, positions]."""
        if tensor.ndim == 3 or self.channels == "last":
            return tensor.flatten(1, -2).transpose(1, 2)
        return tensor.flatten(2)

    def _place(self, output: Tensor, unit: int) -> Tensor:
        """Return a view of all that belongs to one channel."""
        return output.select(self.axis(output.ndim), unit)
