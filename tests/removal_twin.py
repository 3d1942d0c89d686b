"""Impact as the paper defines it, image by image and neuron by neuron: a hook zeroes one, the whole model runs."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn


def zeroed(model: nn.Module, layer: str, axis: int, neuron: int, image: Tensor) -> Tensor:
    """Return the logits of one image with a neuron of a layer set to 0."""

    def zero(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        spliced = output.clone()
        spliced.select(axis, neuron).fill_(0)
        return spliced

    handle = dict(model.named_modules())[layer].register_forward_hook(zero)
    try:
        with torch.no_grad():
            return model(image[None])[0].double()
    finally:
        handle.remove()


def impact(
    model: nn.Module, layer: str, axis: int, n_neurons: int, images: Tensor, labels: list[int], temperature: float
) -> Tensor:
    """Return I_k [images, neurons] by Eq. 1 to 3."""
    with torch.no_grad():
        logits = [model(image[None])[0].double() for image in images]
    answers = [int(one.argmax()) == label for one, label in zip(logits, labels, strict=True)]
    losses = [loss(one, label, temperature) for one, label in zip(logits, labels, strict=True)]
    found = torch.zeros(len(images), n_neurons, dtype=torch.float64)
    for row, image in enumerate(images):
        for neuron in range(n_neurons):
            without = zeroed(model, layer, axis, neuron, image)
            answer = int(without.argmax()) == labels[row]
            accuracy = (answers[row] - answer) / sum(answers)
            change = (losses[row] - loss(without, labels[row], temperature)) / sum(losses)
            found[row, neuron] = (accuracy - change) / 2
    return found


def loss(logits: Tensor, label: int, temperature: float) -> float:
    return float(-(logits / temperature - torch.logsumexp(logits / temperature, 0))[label])


def top_impact(impact: list[float], activations: list[float], beta: str) -> float:
    """Return TI_k(β) by Eq. 4; images of equal activation count by their mean."""
    sizes = [abs(one) for one in impact]
    even = [
        sum(size for size, other in zip(sizes, activations, strict=True) if other == activation)
        / activations.count(activation)
        for activation in activations
    ]
    ranked = [size for _, size in sorted(zip(activations, even, strict=True), key=lambda pair: -pair[0])]
    return sum(ranked[: math.floor(Fraction(beta) * len(ranked))]) / sum(sizes)
