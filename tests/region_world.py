"""Pictures with coloured rectangles, masks of these, and a network whose neurons see one colour each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE, N_IMAGES = 16, 30
NAMES = "0\tground\n1\tred\n2\tgreen\n"

# Neurons of "maps", at 4 x 4 positions: mean red, green and blue of 4 x 4 pixels, and a dead one.
MODEL = """
import numpy as np
import torch
from torch import nn
from linexp import to_unit_tensor

def build():
    stem = nn.Conv2d(3, 4, 1, bias=False)
    with torch.no_grad():
        stem.weight.copy_(torch.eye(4, 3)[:, :, None, None])
    model = nn.Sequential()
    model.add_module("stem", stem)
    model.add_module("maps", nn.AvgPool2d(4))
    model.add_module("rest", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("head", nn.Linear(4, 2))
    return model, to_unit_tensor

def segment():
    def find(picture):
        pixels = np.asarray(picture).astype(int)
        return np.where(pixels[..., 0] > 99, 1, np.where(pixels[..., 1] > 99, 2, 0))
    return find, ["ground", "red", "green"]

def mapless():
    return (lambda picture: 3), ["ground"]
"""


def draw(folder: Path) -> None:
    """Draw the pictures and their masks; a strip of some masks is ignored."""
    lots = np.random.default_rng(0)
    for number in range(N_IMAGES):
        pixels = lots.integers(0, 9, (SIDE, SIDE, 3))
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for value, channel in ((1, 0), (2, 1)):
            if lots.random() < 0.8:
                top, left = lots.integers(0, 12, 2)
                box = np.s_[top : top + lots.integers(3, 9), left : left + lots.integers(3, 9)]
                pixels[box] = 0
                pixels[box][..., channel] = 200
                mask[box] = value
        if number % 5 == 0:
            mask[:, -1] = 255
        for name, made in (("pictures", pixels.astype(np.uint8)), ("masks", mask)):
            (folder / name / "all").mkdir(parents=True, exist_ok=True)
            Image.fromarray(made).save(folder / name / "all" / f"{number:02}.png")


def make_regions(folder: Path) -> Path:
    """Write the network, the pictures, the masks and their names into a folder."""
    (folder / "mymodels.py").write_text(MODEL)
    (folder / "names.tsv").write_text(NAMES)
    draw(folder)
    return folder
