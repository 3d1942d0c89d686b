"""A tiny world in which a result can live: networks, pictures, words, and the command line inside this process."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import typer.main
from PIL import Image

from linexp import cli

COLOURS = {"black": (0, 0, 0), "blue": (0, 0, 204), "green": (0, 204, 0), "red": (204, 0, 0), "yellow": (204, 204, 0)}
WARM = (204, 102, 0)
N_EACH, SIDE = 12, 8
SPARK = "black/03.bmp"  # the only white picture; with the seeds 0 and 1 it is for training
CHANGED, RENAMED = "red/05.bmp", "red/05b.bmp"

# Neurons of "0": mean red, green, blue; below 0.01 everywhere; the same but on the white picture; a noisy one.
# Of "3": five logits.
MODEL = """
import numpy as np
import torch
from torch import nn
from linexp import to_unit_tensor

class Neurons(nn.Module):
    def forward(self, x):
        red, green, blue = x.unbind(1)
        board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
        spark = 0.004 * red + 10 * torch.relu(red + green + blue - 2.5)
        return torch.stack([red, green, blue, 0.009 * red, spark, 20 * red * board + 0.3 * blue], 1)

def net():
    model = nn.Sequential(Neurons(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    with torch.no_grad():
        model[3].weight.zero_()
        model[3].weight[:, :3] = 3 * torch.tensor([[-1.0, -1, -1], [0, -1, 2], [-1, 2, 0], [2, -1, 0], [1.5, 1.5, -1]])
        model[3].weight[:, 5] = torch.linspace(-0.5, 0.5, 5)
        model[3].bias.zero_()
    return model

def build():
    return net(), to_unit_tensor

def bare():
    return net()

class Eye:
    def __init__(self, name, power):
        self.name, self.power = name, power

    def encode_images(self, images, *, show_progress=True):
        seen = [np.asarray(images[row], np.float32).mean((0, 1)) / 255 for row in range(len(images))]
        return unit(np.stack(seen) ** self.power - 0.35)

    def encode_texts(self, texts):
        shades = np.array([WORDS.get(text, (0, 0, 0)) for text in texts], np.float32) / 255 - 0.35
        known = np.array([text in WORDS for text in texts])[:, None]
        return unit(np.where(known, shades, 0), 1 - known)

def unit(shades, beside=0.0):
    rows = np.concatenate([shades, np.zeros((len(shades), 1)) + beside], 1).astype(np.float32)
    return nn.functional.normalize(torch.from_numpy(rows))

def see():
    return Eye("see", 1.0)

def judge():
    return Eye("judge", 0.5)
"""
POWERS = {"see": 1.0, "judge": 0.5}
CALIBRATION = {"see": (5.0, -0.4), "judge": (4.0, -0.5)}
NETWORK = ("--model", "lifemodels:build", "--layer", "0", "--images", "pictures")
FOREIGN = ("theirs.json", "layers.csv", "formulas.csv")


def make_world(folder: Path) -> Path:
    """Write networks, pictures, words, groups, calibrations and files of other people's explanations."""
    draw_pictures(folder / "pictures")
    words = {**COLOURS, "warm": WARM}
    (folder / "lifemodels.py").write_text(f"WORDS = {words}\n{MODEL}")
    (folder / "words.txt").write_text("\n".join([*words, "melancholy"]) + "\n")
    (folder / "groups.json").write_text('{"warm": ["red", "yellow"], "lit": {"cold": ["blue"], "leafy": ["green"]}}')
    for name, (a, b) in CALIBRATION.items():
        (folder / f"{name}.json").write_text(json.dumps({"a": a, "b": b, "encoder": name}))
    (folder / "theirs.json").write_text('[[0, "green"], [1, "red"], [2, "blue"], [4, "black"]]')
    lines = ["layer,unit,description,similarity", "0,0,warm,0.5", "0,1,green,0.4", "0,2,yellow,0.1", "3,0,black,0.9"]
    (folder / "layers.csv").write_text("\n".join(lines) + "\n")
    (folder / "formulas.csv").write_text("unit,formula\n0,warm OR red\n1,green AND NOT (red OR blue)\n3,NOT black\n")
    (folder / "odd.csv").write_text("this,is\nno,file of scores\n")
    return folder


def draw_pictures(folder: Path) -> None:
    """Draw a dozen pictures of every colour; files of one size, whatever is in them."""
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(N_EACH):
            pixels = np.clip(np.array(colour) + noise.integers(-30, 31, (SIDE, SIDE, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number:02}.bmp")
    Image.new("RGB", (SIDE, SIDE), "white").save(folder / SPARK)


def change_picture(folder: Path) -> None:
    """Put another picture of the same size and time into the place of one, or the first one back."""
    path = next(folder / name for name in (CHANGED, RENAMED) if (folder / name).exists())
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:54] + bytes(255 - byte for byte in content[54:]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rename_picture(folder: Path) -> None:
    """Give a picture another name, or the first one back."""
    before, after = folder / CHANGED, folder / RENAMED
    before.rename(after) if before.exists() else after.rename(before)


class Ended(NamedTuple):
    code: object
    out: str
    err: str


# Typer makes a command's options anew at each call, which takes longer than most commands do here.
get_command = functools.cache(typer.main.get_command)


def linexp(*arguments: object) -> Ended:
    """Run a command inside this process, in the current folder."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        mock.patch.object(sys, "argv", ["linexp", *map(str, arguments)]),
        mock.patch("typer.main.get_command", get_command),
    ):
        warnings.simplefilter("default", UserWarning)
        try:
            cli.main()
        except SystemExit as ended:
            return Ended(ended.code, out.getvalue(), err.getvalue())
    raise AssertionError("a command ends with a code")


@contextlib.contextmanager
def at_home(folder: Path) -> Generator[None, None, None]:
    """Work in a folder, with a store of its own, and leave the process as it was."""
    before, path, environment = Path.cwd(), [*sys.path], dict(os.environ)
    os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), COLUMNS="300", NO_COLOR="1", GOMP_SPINCOUNT="10000")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
        sys.modules.pop("lifemodels", None)
