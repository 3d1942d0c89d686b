"""Folding batch normalisations into convolutions changes no activation and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from linexp.recording import record_layers
from linexp.recording.fold import PairFinder, folded
from tests.recording_twin import record_literally, some_inputs, with_statistics


def n_pairs(model: nn.Module, *layers: str) -> int:
    finder = PairFinder(model, {name: model.get_submodule(name) for name in layers})
    model.eval()
    with torch.no_grad(), finder.watch():
        model(some_inputs(2))
    return len(finder.pairs())


class Padded(nn.Conv2d):
    """Pads by itself, as the EfficientNets do."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(F.pad(input, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class Standardised(nn.Conv2d):
    """Standardises its weight in every pass."""

    def forward(self, input: Tensor) -> Tensor:
        mean, std = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(input, (self.weight - mean) / std, self.bias)


class Scaled(nn.Conv2d):
    """Does something to its result before it returns it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).sigmoid()


class Ignoring(nn.Conv2d):
    """Has no use for a bias."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, None)


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


def _plain(m: Any, x: Tensor) -> Tensor:
    return m.bn(m.conv(x))


def _without_statistics() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))


def _tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
    model[2].weight = model[0].weight
    return model


UNFOLDABLE = {
    "residual": lambda: Branching(_residual),
    "branch of few images": lambda: Branching(_branch_of_few_images),
    "in place between": lambda: Branching(_in_place_between),
    "convolution twice": lambda: Branching(_convolution_twice),
    "normalisation twice": lambda: Branching(_normalisation_twice),
    "weight elsewhere": lambda: Branching(_weight_elsewhere),
    "cached": lambda: Branching(_cached),
    "decides": lambda: Branching(_decides),
    "sum of both": lambda: Branching(_sum_of_both),
    "standardised": lambda: Branching(_plain, Standardised(3, 4, 3)),
    "scaled": lambda: Branching(_plain, Scaled(3, 4, 3)),
    "weight norm": lambda: Branching(_plain, parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
    "double precision": lambda: nn.Sequential(Cast(), nn.Conv2d(3, 4, 3).double(), nn.BatchNorm2d(4).double()),
    "tied": _tied,
    "other normalisation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
}


class Cast(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.double()


FOLDABLE = {
    "chain": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
    ),
    "no bias": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3, padding="same"), nn.BatchNorm2d(3)),
    "circular": lambda: nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(3)),
    "no affine": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4, affine=False)),
    "inside": lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.BatchNorm2d(4))),
    "padded": lambda: Branching(_plain, Padded(3, 4, 3, stride=2)),
}


def build(recipe: Any) -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(recipe())


def assert_same_as_literal(model: nn.Module, layers: list[str]) -> None:
    images = some_inputs(6)
    recorded = record_layers(model, layers, images, batch_size=4, show_progress=False)
    for layer in layers:
        wanted = record_literally(model, layer, images)
        assert (recorded[layer].values - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("name", FOLDABLE)
def test_folds_and_gives_the_same(name: str) -> None:
    model = build(FOLDABLE[name])
    last = list(dict(model.named_children()))[-1]
    assert n_pairs(model, last) == sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert_same_as_literal(model, [last])


@pytest.mark.parametrize("name", UNFOLDABLE)
def test_does_not_fold_what_others_look_at(name: str) -> None:
    model = build(UNFOLDABLE[name])
    last = list(dict(model.named_children()))[-1]
    assert n_pairs(model, last) == 0
    assert_same_as_literal(model, [] if name == "other normalisation" else [last]) if name != "tied" else None


def test_a_convolution_that_ignores_its_bias_is_recorded_right() -> None:
    assert_same_as_literal(build(lambda: Branching(_plain, Ignoring(3, 4, 3, bias=False))), ["bn", "end"])


def test_recorded_convolutions_stay_as_they_are() -> None:
    model = build(FOLDABLE["chain"])
    assert n_pairs(model, "0", "4") == 1
    assert_same_as_literal(model, ["0", "1", "2", "3", "4"])
    inside = build(FOLDABLE["inside"])
    assert n_pairs(inside, "0", "1") == 0
    assert_same_as_literal(inside, ["0", "0.0", "1", "1.0"])


def test_batch_statistics_are_not_folded() -> None:
    model = _without_statistics()
    assert n_pairs(model, "1") == 0
    with pytest.warns(UserWarning, match=r"depend on batch_size and on the other images: 1\. Use a model"):
        record_layers(model, ["1"], some_inputs(4), show_progress=False)


@pytest.mark.parametrize("where", ["0", "1", "3"])
def test_hooks_of_others_still_fire_and_see_the_plain_values(where: str) -> None:
    model, seen = build(FOLDABLE["chain"]).eval(), []
    model.get_submodule(where).register_forward_hook(lambda _, __, output: seen.append(output))
    images = some_inputs(3)
    with torch.no_grad():
        model(images)
    wanted = seen.pop()
    record_layers(model, ["4"], images, show_progress=False)
    assert len(seen) >= 3
    for output in seen:
        torch.testing.assert_close(output, wanted)


def test_hooks_on_all_modules_see_the_plain_values() -> None:
    model, seen = build(FOLDABLE["chain"]).eval(), []

    def look(module: nn.Module, _: Any, output: Tensor) -> None:
        if module is model[0]:
            seen.append(output)

    handle = nn.modules.module.register_module_forward_hook(look)
    try:
        images = some_inputs(3)
        record_layers(model, ["4"], images, show_progress=False)
    finally:
        handle.remove()
    with torch.no_grad():
        wanted = model[0](images)
    for output in seen:
        torch.testing.assert_close(output, wanted)


def test_what_a_model_caches_is_not_folded() -> None:
    model = build(UNFOLDABLE["cached"])
    images = some_inputs(3)
    record_layers(model, ["bn"], images, show_progress=False)
    with torch.no_grad():
        torch.testing.assert_close(model.cache, model.conv(images))


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_the_very_same_parameters_come_back(error: type[BaseException] | None) -> None:
    model = build(FOLDABLE["no bias"]).eval()
    parameters, keys = dict(model.named_parameters()), list(model.state_dict())
    finder = PairFinder(model, {})
    with torch.no_grad(), finder.watch():
        model(some_inputs(2))
    try:
        with folded(finder.pairs()):
            assert model[0].weight is not parameters["0.weight"]
            assert "forward" in vars(model[1])
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
    assert list(model.state_dict()) == keys
    assert model[0].bias is None
    assert "forward" not in vars(model[1])


def test_a_failure_while_folding_undoes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(FOLDABLE["chain"]).eval()
    parameters = dict(model.named_parameters())
    finder = PairFinder(model, {})
    with torch.no_grad(), finder.watch():
        model(some_inputs(2))
    pairs = finder.pairs()
    monkeypatch.setattr(pairs[1].normalisation, "running_mean", None)
    with pytest.raises(AssertionError), folded(pairs):
        pass
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
    assert not any("forward" in vars(module) for module in model.modules())
