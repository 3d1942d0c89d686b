"""Recording done literally, one image and one number at a time, and the small models it is tried on."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Spy(nn.Module):
    """Stands in the place of a layer and keeps a copy of what it returned."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.seen: list[Tensor] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.layer(*args, **kwargs)
        tensor = output
        while not isinstance(tensor, Tensor):
            parts = list(tensor.values()) if hasattr(tensor, "values") else list(tensor)
            tensor = next(part for part in parts if part is not None)
        self.seen.append(tensor.detach().clone())
        return output


def record_literally(
    model: nn.Module, layer: str, images: Tensor, pool: str = "mean", channels: str = "first", token: int = 0
) -> Tensor:
    """Return activations [images, neurons] in float64: one forward pass per image through a copy with a spy in it."""
    twin = copy.deepcopy(model).eval()
    parent, _, child = layer.rpartition(".")
    spy = Spy(twin.get_submodule(layer))
    twin.get_submodule(parent)._modules[child] = spy
    rows: list[list[float]] = []
    with torch.no_grad():
        for image in images:
            twin(image[None])
            rows.append(pool_literally(spy.seen.pop()[0].double(), pool, channels, token))
            assert not spy.seen
    return torch.tensor(rows, dtype=torch.float64)


def pool_literally(output: Tensor, pool: str, channels: str, token: int) -> list[float]:
    """Summarise what a layer returned for one image."""
    if output.ndim < 2:
        return [float(value) for value in output.reshape(-1)]
    if pool == "token":
        return [float(value) for value in output[token]]
    last = output.ndim == 2 or channels == "last"
    neurons: list[float] = []
    for neuron in range(output.shape[-1 if last else 0]):
        positions: list[float] = (output[..., neuron] if last else output[neuron]).reshape(-1).tolist()
        neurons.append(max(positions) if pool == "max" else sum(positions) / len(positions))
    return neurons


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch normalisation of a model statistics and weights that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                if tensor is not None:
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
    return model


class SmallCnn(nn.Module):
    """A convolutional network with everything that could go wrong: in-place, dropout, a residual, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 4)
        self.n_calls = 0
        self.n_images = 0

    def forward(self, images: Tensor) -> Tensor:
        self.n_calls += 1
        self.n_images += len(images)
        features = self.stem(images)
        features = features + self.block(features)
        return self.head(self.drop(features.mean((2, 3)))).relu_()


def small_cnn() -> SmallCnn:
    torch.manual_seed(0)
    model = SmallCnn()
    with_statistics(model)
    return model


def some_inputs(n_images: int = 7, side: int = 8) -> Tensor:
    return torch.randn(n_images, 3, side, side, generator=torch.Generator().manual_seed(1))
