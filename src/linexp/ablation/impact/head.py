"""Removing neurons that a linear head follows: the logits change by −activation·W[:, neuron], and nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.compiled import compiled, share_neurons
from linexp._internal.progress import Advance
from linexp.ablation.losses import HeadLosses
from linexp.forward.partial import LinearTail

# Changes of the loss below that, in nats, are rounding.
HEAD_RESOLUTION = 1e-9
_NEURONS_PER_BLOCK = 32
_IMAGES_PER_BLOCK = 8192


def remove_before_head(
    tail: LinearTail,
    logits: Float[Tensor, "images classes"],
    labels: Int[Tensor, " images"],
    activations: Float[Tensor, "images neurons"],
    neurons: Sequence[int],
    temperature: float,
    advance: Advance = lambda _: None,
) -> tuple[Float[Tensor, "images neurons"], Int[Tensor, "images neurons"]]:
    """Return what each neuron adds to each loss, and the answers that are lost without it.

    Parameters
    ----------
    tail
        What follows the layer.
    logits
        The network's own.
    labels
        Class of each image.
    activations
        Pooled activations of the neurons to remove.
    neurons
        Which of the layer's neurons they are.
    temperature
        What logits are divided by before the loss.
    advance
        Called with the number of neurons just done.
    """
    losses = HeadLosses.of(tail, logits, labels, activations, neurons, temperature)
    added: list[Tensor] = []
    for start in range(0, len(neurons), _NEURONS_PER_BLOCK):
        block = range(start, min(start + _NEURONS_PER_BLOCK, len(neurons)))
        nothing = torch.zeros(1, len(logits), len(block), dtype=torch.float64)
        added.append(losses.changes(block, nothing)[0].float())
        advance(len(block))
    weight = tail.weight[:, list(neurons)].T.contiguous().numpy()
    right: list[Any] = []
    for start in range(0, len(logits), _IMAGES_PER_BLOCK):
        rows = slice(start, start + _IMAGES_PER_BLOCK)
        seen = activations[rows].double().numpy()
        right.append(_answers_without(logits[rows].numpy(), labels[rows].numpy(), seen, weight))
    correct = (logits.argmax(1) == labels).to(torch.int8)
    return torch.cat(added, 1), correct[:, None] - torch.from_numpy(np.concatenate(right)).to(torch.int8)


def _answers_without(logits: Any, labels: Any, activations: Any, weight: Any) -> Any:
    """Return whether the answer is the label without each neuron [images, neurons]."""
    order = np.argsort(-logits, axis=1, kind="stable")
    right = np.empty(activations.shape, dtype=np.bool_)
    share_neurons(activations.shape[1], _fill_right, logits, order, labels, activations, weight, right)
    return right


@compiled
def _fill_right(
    first: int, last: int, logits: Any, order: Any, labels: Any, activations: Any, weight: Any, right: Any
) -> None:
    """Look for a class above the label, from the highest logit down to where no weight could lift one there."""
    for neuron in range(first, last):
        low, high = weight[neuron].min(), weight[neuron].max()
        for image in range(len(activations)):
            activation, label = activations[image, neuron], labels[image]
            own = logits[image, label] - activation * weight[neuron, label]
            most = max(-activation * low, -activation * high)
            right[image, neuron] = True
            for place in range(order.shape[1]):
                other = order[image, place]
                if logits[image, other] + most < own:
                    break
                value = logits[image, other] - activation * weight[neuron, other]
                if other != label and (value > own or (value == own and other < label)):
                    right[image, neuron] = False
                    break
