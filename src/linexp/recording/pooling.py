"""From a layer's output to one number per image and neuron (the summary function g of the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._checks import check_at_least, check_choice

Pool = Literal["mean", "max", "token", "none"]
Channels = Literal["first", "last"]


@dataclass(frozen=True)
class Pooling:
    """How the positions of a feature map, or the tokens of a sequence, become one activation per neuron.

    Parameters
    ----------
    pool
        "mean" or "max" over all positions or tokens (class tokens included); "token": the one token ``token``;
        "none": the output must be scalars [images, neurons] already. Scalars pass through "mean" and "max" unchanged.
    channels
        Where the channels of outputs with four and more axes are: "first" [images, channels, …] or "last".
        Outputs with three axes are [images, tokens, neurons].
    token
        Which token "token" takes; 0 is the class token (CLS) of vision transformers.
    """

    pool: Pool = "mean"
    channels: Channels = "first"
    token: int = 0

    def __post_init__(self) -> None:
        check_choice("pool", self.pool, ("mean", "max", "token", "none"))
        check_choice("channels", self.channels, ("first", "last"))
        check_at_least("token", self.token, 0)

    def reduce(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images neurons"]:
        """Pool one batch of a layer's output.

        Parameters
        ----------
        output
            What the layer returned: a tensor, or a tuple, list, mapping, dataclass or model output whose first tensor
            is meant.
        layer
            Name of the layer, for messages.
        n_images
            Number of images in the batch.

        Raises
        ------
        ValueError
            There is no floating-point tensor in the output, its first axis is not the images, or its shape does not
            go with ``pool``.
        """
        tensor = first_tensor(output)
        if tensor is None or not tensor.is_floating_point():
            kind = type(output).__name__ if tensor is None else f"a tensor of {tensor.dtype}"
            raise ValueError(f"Layer '{layer}' returns {kind}, not activations. Choose a layer that returns numbers.")
        tensor = tensor.detach()  # some models switch gradients on
        shape = list(tensor.shape)
        if tensor.ndim == 0 or shape[0] != n_images:
            raise ValueError(
                f"Layer '{layer}' returns a tensor of shape {shape} for {n_images} images; its first axis must be the "
                "images. Choose a layer whose output keeps the images apart."
            )
        if tensor.numel() == 0:
            raise ValueError(f"Layer '{layer}' returns an empty tensor of shape {shape}. Choose another layer.")
        if tensor.ndim <= 2:
            return self._keep_scalars(tensor.reshape(n_images, -1), layer, shape)
        if self.pool == "none":
            raise ValueError(
                f"Layer '{layer}' returns {shape}, not one number per neuron, and pool is 'none'. "
                "Use pool 'mean' or 'max'."
            )
        if self.pool == "token":
            return self._take_token(tensor, layer)
        positions = self._positions_last(tensor)
        if self.pool == "max":
            return positions.amax(-1).to(torch.float32)
        # Sums of half-precision numbers are taken in float32, where they neither overflow nor drift.
        exact = torch.promote_types(tensor.dtype, torch.float32)
        return positions.mean(-1, dtype=exact).to(torch.float32)

    def _keep_scalars(self, scalars: Tensor, layer: str, shape: list[int]) -> Tensor:
        if self.pool == "token":
            raise ValueError(f"Layer '{layer}' returns {shape}, which has no tokens. Use pool 'mean' or 'none'.")
        return _copied(scalars)

    def _positions_last(self, tensor: Tensor) -> Tensor:
        """Return [images, channels, positions]."""
        if tensor.ndim == 3 or self.channels == "last":
            return tensor.flatten(1, -2).transpose(1, 2)
        return tensor.flatten(2)

    def _take_token(self, tensor: Tensor, layer: str) -> Tensor:
        if tensor.ndim != 3 or tensor.shape[1] <= self.token:
            raise ValueError(
                f"Layer '{layer}' returns {list(tensor.shape)}, which has no token {self.token} "
                "(tokens are [images, tokens, neurons]). Use pool 'mean' or 'max'."
            )
        return _copied(tensor[:, self.token])


def _copied(values: Tensor) -> Tensor:
    """Return float32 values of their own: a later in-place operation would change a view of the layer's output."""
    return values.to(torch.float32, copy=True)


def first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor inside a layer's output, or ``None``."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        parts: list[Any] = list(cast("Mapping[Any, Any]", output).values())
    elif isinstance(output, (tuple, list)):
        parts = list(cast("tuple[Any, ...]", output))
    elif is_dataclass(output):
        parts = [getattr(output, field.name) for field in fields(output)]
    else:
        return None
    return next((tensor for tensor in map(first_tensor, parts) if tensor is not None), None)
