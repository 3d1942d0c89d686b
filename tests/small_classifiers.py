"""Small networks of the kinds people use, with a classifier's head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.recording_twin import with_statistics


class Block(nn.Module):
    """A residual block as in ResNet: one in-place ReLU is used twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class SmallResNet(nn.Module):
    def __init__(self, n_classes: int = 5, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(Block(width), Block(width))
        self.layer2 = nn.Sequential(Block(width), Block(width))
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.5)
        self.fc = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.stem(x)))
        return self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))


class ViTBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Module):
    def __init__(self, n_classes: int = 5, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 5, width))
        self.blocks = nn.Sequential(*(ViTBlock(width) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def small_resnet() -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(SmallResNet()).eval()


def small_vit() -> nn.Module:
    torch.manual_seed(0)
    model = SmallViT()
    for parameter in model.parameters():  # the default weights hardly let an image through
        parameter.data *= 2
    return model.eval()


def small_inputs(n_images: int = 40) -> Tensor:
    return torch.randn(n_images, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def small_labels(n_images: int = 40, n_classes: int = 5) -> list[int]:
    return torch.randint(n_classes, (n_images,), generator=torch.Generator().manual_seed(2)).tolist()
