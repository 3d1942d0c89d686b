"""A tiny network of known meaning, and pictures of coloured classes: what explanations of it must say is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"black": (0, 0, 0), "blue": (0, 0, 204), "green": (0, 204, 0), "red": (204, 0, 0), "yellow": (204, 204, 0)}
N_EACH = 12  # fewer than 64 pictures in all: they are decoded without worker processes
GROUPS = '{"warm": ["red", "yellow"], "lit": {"cold": ["blue"], "leafy": ["green"]}}'

# Neurons of "stem": mean red, mean green, mean blue, a dead one. Of "head": 2·red + 1, and blue − green.
MODEL = """
import torch
from torch import nn
from linexp import to_unit_tensor
from tests.colour_encoder import WorldEncoder

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.rest = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 2)
        self.unused = nn.Linear(4, 2)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(4, 3)[:, :, None, None])
            self.stem.bias.zero_()
            self.head.weight.copy_(torch.tensor([[2.0, 0, 0, 0], [0, -1, 1, 0]]))
            self.head.bias.copy_(torch.tensor([1.0, 0]))

    def forward(self, images):
        return self.head(self.rest(self.stem(images)))

def build():
    return Net(), to_unit_tensor

def faint():
    model = Net()
    with torch.no_grad():
        model.stem.weight[3, 0] = 0.009  # the last neuron sees red, but never gets active
    return model, to_unit_tensor

def fixed():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5)), to_unit_tensor

def bare():
    return Net()

def halved(picture):
    return to_unit_tensor(picture) / 2

def text():
    return "no model"

def see():
    return WorldEncoder()

def judge():
    return WorldEncoder("judge", seed=5)
"""


def draw_pictures(folder: Path, n_each: int = N_EACH) -> None:
    """Draw ``n_each`` pictures of 8 by 8 pixels of every colour, with a little noise, a sub-folder each."""
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(n_each):
            pixels = np.clip(np.array(colour) + noise.integers(-9, 10, (8, 8, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:02}.png")


def make_world(folder: Path) -> Path:
    """Write the model, the pictures, the groups and the words into a folder."""
    (folder / "mymodels.py").write_text(MODEL)
    (folder / "groups.json").write_text(GROUPS)
    (folder / "words.txt").write_text("red\nblue\ngreen\nyellow\nblack\nwarm\nmelancholy\n")
    draw_pictures(folder / "pictures")
    return folder
