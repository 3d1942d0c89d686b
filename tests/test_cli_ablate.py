"""``linexp ablate`` as a user meets it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests.colour_world import COLOURS, make_world
from tests.command_line import Run, command_line

# The logits are 3·(how red, green, blue) and constants: with every other class an output of its own.
CLASSIFIER = """
import torch
from torch import nn

def build():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4, 3)[:, :, None, None])
        model[0].bias.zero_()
        model[3].weight.copy_(3 * torch.tensor(
            [[-1.0, -1, -1, 0], [0, -1, 2, 0], [-1, 2, 0, 0], [2, -1, 0, 0], [1.5, 1.5, -1, 0]]))
        model[3].bias.zero_()
    return model
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    (folder / "mymodels.py").write_text(CLASSIFIER)
    return folder


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def test_ablate(linexp: Run, tmp_path: Path):
    out = tmp_path / "out"
    start = ("explain", "--model", "mymodels:build", "--images", "pictures", "--layer", "0", "--out", out)
    assert linexp(*start).code == 0
    ended = linexp("ablate", out)
    assert ended.code == 0, ended.err
    found = re.search(r"layer 0: test ablation (\S+) ± \S+ \(3 neurons, 1 undefined, 12 images\)", ended.out)
    assert float(found.group(1)) > 0.7
    rows = list(csv.DictReader((out / "scores-ablation.csv").read_text().splitlines()))
    assert [row["ablation"] != "" for row in rows] == [True, True, True, False]  # the last neuron is dead
    (tmp_path / "outputs.txt").write_text("".join(f"{name}\t{n}\n" for n, name in enumerate(COLOURS)))
    again = linexp("ablate", out, "--outputs", tmp_path / "outputs.txt", "--scaling", "norm")
    assert again.code == 0, again.err
    (tmp_path / "outputs.txt").write_text("red\t0\n")
    refused = linexp("ablate", out, "--outputs", tmp_path / "outputs.txt")
    assert refused.code != 0
    assert "does not say which output the class 'black" in refused.err
    assert "scaling is 'best'" in linexp("ablate", out, "--scaling", "best").err
    manifest = json.loads((out / "run.json").read_text())
    manifest["settings"]["class_names"] = "imagenet"  # explained so, the outputs are ImageNet's too
    (out / "run.json").write_text(json.dumps(manifest))
    assert "imagenet does not say which output the class 'black" in linexp("ablate", out).err
    assert linexp("ablate", out, "--outputs", tmp_path / "outputs.txt").err == refused.err
