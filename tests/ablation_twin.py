"""Ablation scoring done literally: a hook overwrites one channel, the whole network runs, one image at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


class Overwrite(nn.Module):
    """Stands in the place of a layer and changes what it returns."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.change: Callable[[Tensor], None] | None = None

    def forward(self, *args, **kwargs):
        output = self.layer(*args, **kwargs)
        if self.change is None:
            return output
        tensor = output
        while not isinstance(tensor, Tensor):
            tensor = tensor[0]
        changed = tensor.clone()
        self.change(changed)
        if isinstance(output, Tensor):
            return changed
        if hasattr(output, "items"):
            return type(output)(**{**output, next(iter(output)): changed})
        return (changed, *output[1:])


def overwriter(model: nn.Module, layer: str) -> tuple[nn.Module, Overwrite]:
    twin = copy.deepcopy(model).eval()
    parent, _, child = layer.rpartition(".")
    spy = Overwrite(twin.get_submodule(layer))
    twin.get_submodule(parent)._modules[child] = spy
    return twin, spy


def logits_of(twin: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        output = twin(image[None])
    return (output if isinstance(output, Tensor) else output[0])[0].double()


def put(output: Tensor, neuron: int, value: float, replace: str, token: int | None = None) -> None:
    """Overwrite one neuron in a layer's output for one image, position by position."""
    if output.ndim == 2:
        output[0, neuron] = value
        return
    if token is not None:
        output[0, token, neuron] = value
        return
    last = output.ndim == 3
    flat = (output[0] if last else output[0].flatten(1).T).clone()
    shift = value - float(flat[:, neuron].mean())
    for position in range(len(flat)):
        flat[position, neuron] = value if replace == "set" else flat[position, neuron] + shift
    output[0] = flat if last else flat.T.reshape(output[0].shape)


def changed_copies(units, output: Tensor, neurons: list[int], values: Tensor, replace: str = "set") -> Tensor:
    """All images with the first neuron changed, then all with the second, and so on; values are [neurons, images]."""
    copies = output.repeat(len(neurons), *[1] * (output.ndim - 1))
    names = torch.tensor(neurons).repeat_interleave(len(output))
    return units.changed(copies, names, values.flatten(), replace)


def change_literally(
    model, layer, images, labels, neuron, values, temperature=1.0, replace="set", token=None
) -> np.ndarray:
    """Change of each image's loss when the neuron becomes the value."""
    twin, spy = overwriter(model, layer)
    changes = []
    for image, label, value in zip(images, labels, values, strict=True):
        losses = []
        for change in (None, lambda output, value=value: put(output, neuron, float(value), replace, token)):
            spy.change = change
            scaled = logits_of(twin, image) / temperature
            losses.append(float(torch.logsumexp(scaled, 0) - scaled[label]))
        changes.append(losses[1] - losses[0])
    return np.array(changes)


def alpha_literally(model, layer, images, labels, neuron, simulated, c, d, mean, **settings) -> float:
    """Eq. 12."""
    by_simulation = change_literally(model, layer, images, labels, neuron, c * np.asarray(simulated) + d, **settings)
    by_mean = change_literally(model, layer, images, labels, neuron, np.full(len(images), mean), **settings)
    return 1 - float(np.abs(by_simulation).sum()) / float(np.abs(by_mean).sum())


def norm_literally(simulated, actual) -> tuple[float, float]:
    """Eq. 16 to 20."""
    s, a = np.asarray(simulated, dtype=float), np.asarray(actual, dtype=float)
    rho = float(np.mean((s - s.mean()) / s.std() * (a - a.mean()) / a.std()))
    c = rho * a.std() / s.std()
    return c, -c * s.mean() + a.mean()
