"""Units as objects: their shorthand, and a kind of one's own in a file of one's own."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import linexp as le
from linexp.forward.units import choose_units

# Directions in the space of a layer's features, which nothing in linexp knows.
FILE = """
from dataclasses import dataclass

import torch

import linexp as le


@dataclass(frozen=True, eq=False)
class Directions(le.Unit):
    vectors: torch.Tensor  # [units, features], orthonormal

    def read(self, output, layer, n_images):
        return output.detach().float() @ self.vectors.T

    def set(self, output, unit, values):
        self.shift(output, unit, values - output @ self.vectors[unit])

    def shift(self, output, unit, amounts):
        output += amounts[:, None] * self.vectors[unit]
"""
N_IMAGES = 60


def load(path: Path, text: str) -> Any:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("my_units", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Directions


@pytest.fixture
def directions(tmp_path) -> Any:
    return load(tmp_path / "my_units.py", FILE)


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)).eval()


def data() -> tuple[torch.Tensor, list[int]]:
    inputs = torch.randn(N_IMAGES, 6, generator=torch.Generator().manual_seed(1))
    return inputs, [image % 3 for image in range(N_IMAGES)]


def rotation() -> torch.Tensor:
    return torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2)))[0]


def losses(model: nn.Module, hidden: torch.Tensor, labels: list[int]) -> torch.Tensor:
    return nn.functional.cross_entropy(model[2:](hidden), torch.tensor(labels), reduction="none")  # type: ignore[index]


def test_units_of_ones_own_are_recorded_and_stored(directions, tmp_path):
    model, (inputs, _), store = classifier(), data(), le.Store(tmp_path / "store")
    found = le.record(model, "1", inputs, units=directions(rotation()), show_progress=False, store=store)
    torch.testing.assert_close(found.values, model[:2](inputs).detach() @ rotation().T)
    again = le.record(model, "1", inputs, units=directions(rotation()), show_progress=False, store=store)
    assert torch.equal(again.values, found.values)
    others = le.record(model, "1", inputs, units=directions(rotation().flip(0)), show_progress=False, store=store)
    torch.testing.assert_close(others.values, found.values.flip(1))


def test_impact_of_units_of_ones_own(directions):
    model, (inputs, labels) = classifier(), data()
    found = le.impact(
        model, "1", inputs, labels=labels, units=directions(rotation()), temperature=1, show_progress=False
    )
    hidden, vectors = model[:2](inputs).detach(), rotation()
    for unit in range(5):
        without = hidden - (hidden @ vectors[unit])[:, None] * vectors[unit]
        wanted = (losses(model, without, labels) - losses(model, hidden, labels)).detach()
        torch.testing.assert_close(found.loss_added[:, unit], wanted, rtol=0, atol=1e-5)


def test_ablation_of_units_of_ones_own(directions):
    model, (inputs, labels) = classifier(), data()
    units, split = directions(rotation()), le.Split.random(N_IMAGES, seed=0)
    recorded = le.record(model, "1", inputs, units=units, show_progress=False)
    noise = torch.randn(recorded.values.shape, generator=torch.Generator().manual_seed(3))
    simulated = le.ActivationMatrix(recorded.values + 0.3 * noise, layer="1", images=recorded.images)
    scorer = le.AblationScorer(scaling="norm", temperature=1, units=units)
    scores = scorer.score(simulated, recorded, split, model, inputs, labels=labels, show_progress=False)
    assert scores.ceiling.tolist() == pytest.approx([1] * 5, abs=1e-4)
    hidden, vectors, test = model[:2](inputs).detach(), rotation(), torch.as_tensor(split.test)
    own = losses(model, hidden, labels)
    for unit in range(5):
        mean = recorded.values[split.val, unit].mean()
        replaced = scores.c[unit] * simulated.values[:, unit] + scores.d[unit]
        changes = [
            losses(model, hidden + (value - hidden @ vectors[unit])[:, None].float() * vectors[unit], labels) - own
            for value in (replaced, mean.expand(N_IMAGES))
        ]
        above, below = (change[test].abs().sum().item() for change in changes)
        assert scores.values[unit].item() == pytest.approx(1 - above / below, abs=1e-3)


@pytest.mark.parametrize(
    ("shorthand", "units"),
    [
        ({}, le.Channels("mean")),
        ({"pool": "max", "channels": "last", "output": 1}, le.Channels("max", "last", 1)),
        ({"pool": "none"}, le.Channels("none")),
        ({"pool": "token", "token": 2}, le.Token(2)),
    ],
)
def test_shorthand_means_units(shorthand, units):
    assert choose_units(**shorthand) == units
    assert choose_units(units) is units


@pytest.mark.parametrize("shorthand", [{"pool": "max"}, {"channels": "last"}, {"token": 1}, {"output": 0}])
def test_units_beside_their_shorthand_are_refused(shorthand):
    model, (inputs, labels) = classifier(), data()
    message = r"units is Token\(token=0, output=None\), and pool, .*Give one of them"
    with pytest.raises(ValueError, match=message):
        le.record(model, "1", inputs, units=le.Token(0), **shorthand)
    with pytest.raises(ValueError, match=message):
        le.impact(model, "1", inputs, labels=labels, units=le.Token(0), **shorthand)
    with pytest.raises(ValueError, match=message):
        le.AblationScorer(units=le.Token(0), **shorthand)


def test_another_kind_has_another_key():
    kinds = [le.Channels(), le.Channels("max"), le.Channels(channels="last"), le.Token(0), le.Token(1)]
    assert len({units.key for units in kinds}) == len(kinds)


def test_changed_code_is_another_key(directions, tmp_path):
    changed = load(tmp_path / "changed.py", FILE.replace(".float() @", ".float().abs() @"))
    same = load(tmp_path / "same.py", FILE)
    keys = [kind(rotation()).key for kind in (directions, changed, same)]
    assert keys[0] == keys[2] != keys[1]


def test_settings_of_units_are_checked():
    with pytest.raises(ValueError, match=r"pool is 'token'.*Choose one of: mean, max, none"):
        le.Channels("token")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"token is -1. It must be at least 0"):
        le.Token(-1)
