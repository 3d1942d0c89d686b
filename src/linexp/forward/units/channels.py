"""From a layer's output to one number per image and neuron (the summary function g of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_at_least, check_choice
from linexp.forward.outputs import Output, choose_tensor

Pool = Literal["mean", "max", "token", "none"]


Channels = Literal["auto", "first", "last"]


@dataclass(frozen=True)
class Pooling:
    """How the positions of a feature map, or the tokens of a sequence, become one activation per neuron.

    Parameters
    ----------
    pool
        "mean" or "max" over all positions or tokens (class tokens included); "token": the one token ``token``;
        "none": the output must be scalars [images, neurons] already. Scalars pass through "mean" and "max" unchanged.
    channels
        Where the channels of outputs with four and more axes are: "first" [images, channels, …] or "last". "auto" takes
        the first, but refuses what looks like [images, height, width, channels]: two equal axes before another last
        one. Outputs with three axes are [images, tokens, neurons].
    token
        Which token "token" takes; 0 is the class token (CLS) of vision transformers.
    output
        Which tensor is meant where a layer returns several: a name ("latents", "1", "0.2") or a place. Default: the
        first.
    """

    pool: Pool = "mean"
    channels: Channels = "auto"
    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        check_choice("pool", self.pool, ("mean", "max", "token", "none"))
        check_choice("channels", self.channels, ("auto", "first", "last"))
        check_at_least("token", self.token, 0)

    def reduce(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images neurons"]:
        """Pool one batch of a layer's output.

        Parameters
        ----------
        output
            What the layer returned: a tuple, list, mapping, dataclass or model output, of which ``output`` says which
            tensor is meant; or that tensor itself.
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
        tensor = output if isinstance(output, Tensor) else choose_tensor(output, self.output, layer)[1]
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
        self._check_channels(shape, layer)
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

    def _check_channels(self, shape: list[int], layer: str) -> None:
        if self.channels == "auto" and len(shape) > 3 and shape[-3] == shape[-2] != shape[-1]:
            raise ValueError(
                f"Layer '{layer}' returns {shape}, which looks like [images, height, width, channels]: {shape[-1]} "
                f"neurons and not {shape[1]}. Say where the channels are: channels='last' or 'first' "
                "(--channels last or first)."
            )

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


Replace = Literal["set", "shift"]


def replace_neurons(
    output: Float[Tensor, "images ..."],
    neurons: Sequence[int],
    values: Float[Tensor, "tiles images"],
    pooling: Pooling,
    replace: Replace = "set",
) -> Float[Tensor, "stacked ..."]:
    """Return the layer's output once per neuron, with that neuron alone changed.

    Parameters
    ----------
    output
        What the layer returned: [images, neurons], [images, tokens, neurons] or feature maps.
    neurons
        The neuron to change in each copy.
    values
        What its pooled activation becomes, for each copy and image.
    pooling
        How positions become one activation.
    replace
        "set": all positions (with pool "token": that token) become the value. "shift": the same number is added to
        all of them, so that the pooled activation becomes the value and the pattern stays.

    Returns
    -------
    Tensor
        [tiles · images, …]: all images for the first neuron, then all for the second, and so on.
    """
    n_images = len(output)
    changed = output.repeat(len(neurons), *[1] * (output.ndim - 1))
    pooled = pooling.reduce(output, "", n_images) if replace == "shift" else None
    for tile, (neuron, value) in enumerate(zip(neurons, values.to(output), strict=True)):
        place = _positions(changed[tile * n_images : (tile + 1) * n_images], neuron, pooling)
        if pooled is None:
            place.copy_(value.reshape(-1, *[1] * (place.ndim - 1)).expand_as(place))
        else:
            place.add_((value - pooled[:, neuron]).reshape(-1, *[1] * (place.ndim - 1)))
    return changed


def remove_neurons(
    output: Float[Tensor, "images ..."], neurons: Int[Tensor, " images"], channels: Channels
) -> Float[Tensor, "images ..."]:
    """Return the layer's output with one neuron of each image set to 0 at all its positions."""
    removed = output.clone()
    by_neuron = removed.movedim(neuron_axis(output.ndim, channels), 1)
    by_neuron[torch.arange(len(output), device=output.device), neurons.to(output.device)] = 0
    return removed


def neuron_axis(n_axes: int, channels: Channels) -> int:
    """Return which axis of a layer's output is the neurons: the last, but for maps with their channels first."""
    return 1 if n_axes == 2 or (n_axes > 3 and channels != "last") else n_axes - 1


def _positions(output: Tensor, neuron: int, pooling: Pooling) -> Tensor:
    """Return a view of all that belongs to one neuron."""
    if output.ndim == 2:
        return output[:, neuron]
    if output.ndim == 3 and pooling.pool == "token":
        return output[:, pooling.token, neuron]
    return output.select(neuron_axis(output.ndim, pooling.channels), neuron)
