"""Put one number in the place of a neuron's activation, whatever shape the layer's output has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp.recording.pooling import Channels, Pooling

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
