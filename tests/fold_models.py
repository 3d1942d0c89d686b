"""Small models in which a convolution and a batch normalisation can, and must not, be folded into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Padded(nn.Conv2d):
    """Pads by itself, as the EfficientNets do."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(input, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class Standardised(nn.Conv2d):
    """Standardises its weight in every pass."""

    def forward(self, input: Tensor) -> Tensor:
        mean, std = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return functional.conv2d(input, (self.weight - mean) / std, self.bias)


class Scaled(nn.Conv2d):
    """Does something to its result before it returns it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).sigmoid()


class Ignoring(nn.Conv2d):
    """Has no use for a bias."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.conv2d(input, self.weight, None)


class Branching(nn.Module):
    """A model of one convolution ``conv`` and one batch normalisation ``bn``, and what it does with them."""

    def __init__(self, way: Any, conv: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3) if conv is None else conv
        self.bn, self.end, self.way, self.cache = nn.BatchNorm2d(4), nn.Identity(), way, None

    def forward(self, images: Tensor) -> Tensor:
        return self.end(self.way(self, images))


def _residual(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    return m.bn(y) + y


def _branch_of_few_images(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    return m.bn(y) + torch.relu(y - 1000)  # zero here, but not for every image


def _in_place_between(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.conv(x).relu_())


def _convolution_twice(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.conv(x)) + m.conv(x)


def _normalisation_twice(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.bn(m.conv(x)))


def _weight_elsewhere(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.conv(x)) * m.conv.weight.sum()


def _cached(m: Any, x: Tensor) -> Tensor:
    m.cache = m.conv(x)
    return m.bn(m.cache)


def _decides(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    return m.bn(y) if x.max() < 1000 else y


def _sum_of_both(m: Any, x: Tensor) -> Tensor:
    y = m.conv(x)
    return m.bn(y.clone()) + y.view(len(y), 4, -1).mean(-1)[:, :, None, None]


def plain(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.conv(x))


def without_statistics() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))


def _tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
    model[2].weight = model[0].weight
    return model


UNFOLDABLE: dict[str, Callable[[], nn.Module]] = {
    "residual": lambda: Branching(_residual),
    "branch of few images": lambda: Branching(_branch_of_few_images),
    "in place between": lambda: Branching(_in_place_between),
    "convolution twice": lambda: Branching(_convolution_twice),
    "normalisation twice": lambda: Branching(_normalisation_twice),
    "weight elsewhere": lambda: Branching(_weight_elsewhere),
    "cached": lambda: Branching(_cached),
    "decides": lambda: Branching(_decides),
    "sum of both": lambda: Branching(_sum_of_both),
    "standardised": lambda: Branching(plain, Standardised(3, 4, 3)),
    "scaled": lambda: Branching(plain, Scaled(3, 4, 3)),
    "weight norm": lambda: Branching(plain, parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
    "double precision": lambda: nn.Sequential(Cast(), nn.Conv2d(3, 4, 3).double(), nn.BatchNorm2d(4).double()),
    "tied": _tied,
    "other normalisation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
}


class Cast(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.double()


FOLDABLE: dict[str, Callable[[], nn.Module]] = {
    "chain": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
    ),
    "no bias": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3, padding="same"), nn.BatchNorm2d(3)),
    "circular": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(3)),
    "no affine": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4, affine=False)),
    "inside": lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.BatchNorm2d(4))),
    "padded": lambda: Branching(plain, Padded(3, 4, 3, stride=2)),
}
