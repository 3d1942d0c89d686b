"""The user's model, and everything else, comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import linexp as le
from linexp.models.base import to_unit_tensor
from tests.recording_twin import SmallCnn, small_cnn, some_inputs


def hooks_of(model: nn.Module) -> list[int]:
    return [
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.modules()
    ]


class State:
    """Everything about a model that must be the same afterwards."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.objects = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.values = {name: tensor.detach().clone() for name, tensor in self.objects.items()}
        self.flags = [module.training for module in model.modules()]
        self.gradients = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
        self.keys = list(model.state_dict())
        self.hooks = hooks_of(model)
        self.attributes = [sorted(vars(module)) for module in model.modules()]
        self.grad_enabled = torch.is_grad_enabled()
        self.random = torch.get_rng_state()

    def check(self) -> None:
        now = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        assert list(now) == list(self.objects)
        for name, tensor in now.items():
            assert tensor is self.objects[name]
            assert torch.equal(tensor, self.values[name])
            assert tensor.device == self.values[name].device
        assert [module.training for module in self.model.modules()] == self.flags
        for name, parameter in self.model.named_parameters():
            assert parameter.requires_grad == self.gradients[name][0]
            assert parameter.grad is self.gradients[name][1]
        assert list(self.model.state_dict()) == self.keys
        assert hooks_of(self.model) == self.hooks
        assert [sorted(vars(module)) for module in self.model.modules()] == self.attributes
        assert torch.is_grad_enabled() == self.grad_enabled
        assert torch.equal(torch.get_rng_state(), self.random)


def mixed_model() -> SmallCnn:
    """Return a model with flags, hooks and gradients of every kind."""
    model = small_cnn()
    model(some_inputs(2)).sum().backward()
    model.train()
    model.stem.eval()
    model.stem[1].training = True
    model.training = False
    model.block[0].weight.requires_grad_(False)
    model.head.weight.grad = None
    model.drop.register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize("layers", [["stem.0"], ["stem", "block.1"], ["head"]])
def test_after_success(layers: list[str], engine: str) -> None:
    state = State(model := mixed_model())
    le.record_layers(model, layers, some_inputs(), batch_size=2, engine=engine, show_progress=False)
    state.check()


class Failing(nn.Module):
    """Works for some calls, then raises."""

    def __init__(self, error: BaseException, n_good: int) -> None:
        super().__init__()
        self.error, self.n_good = error, n_good

    def forward(self, features: Tensor) -> Tensor:
        self.n_good -= 1
        if self.n_good < 0:
            raise self.error
        return features


@pytest.mark.parametrize("n_good", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), ValueError("mine"), RuntimeError("torch's")])
def test_after_an_error_in_the_middle_of_a_pass(error: BaseException, n_good: int) -> None:
    model = mixed_model()
    model.drop = Failing(error, n_good)
    state = State(model)
    with pytest.raises(type(error)):
        le.record_layers(model, ["stem", "head"], some_inputs(8), batch_size=2, show_progress=False)
    state.check()


def test_after_an_error_between_batches() -> None:
    state = State(model := mixed_model())
    inputs = some_inputs()
    inputs[5] = float("nan")
    with pytest.raises(ValueError, match="image 5"):
        le.record(model, "head", inputs, batch_size=2, show_progress=False)
    state.check()


def test_gradient_mode_stays_off_where_it_was_off() -> None:
    model = small_cnn()
    with torch.no_grad():
        le.record(model, "head", some_inputs(), show_progress=False)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        le.record(model, "head", some_inputs(), show_progress=False)
        assert torch.is_inference_mode_enabled()


class Caching(nn.Module):
    """Keeps a tensor from its first pass and trains with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.grid = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), None

    def forward(self, images: Tensor) -> Tensor:
        features = self.bn(self.conv(images))
        if self.grid is None:
            self.grid = torch.linspace(0, 1, features.shape[-1])
        return (features * self.grid).mean((2, 3))


@pytest.mark.parametrize("build", [small_cnn, Caching])
def test_training_works_afterwards(build: Any) -> None:
    model = build().train()
    le.record(model, next(iter(dict(model.named_children()))), some_inputs(), show_progress=False)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model(some_inputs()).square().sum().backward()
    optimiser.step()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_model_whose_train_method_does_more_is_not_told() -> None:
    class Merging(nn.Linear):
        def train(self, mode: bool = True) -> nn.Module:
            self.weight.data *= 2
            self.weight.requires_grad_(mode)
            return super().train(mode)

    model, inputs = nn.Sequential(Merging(3, 2)), torch.rand(4, 3)
    state = State(model)
    le.record(model, "0", inputs, show_progress=False)
    state.check()


def test_a_graph_made_inside_the_model_is_not_kept() -> None:
    class Grading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            with torch.enable_grad():
                return self.layer(inputs)

    assert not le.record(Grading(), "layer", torch.rand(4, 3), show_progress=False).values.requires_grad


class Pictures:
    """A collection of pictures with a file that cannot be read; knows when its reader goes."""

    fingerprint = "pictures"
    labels, label_names = None, ()

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Image.Image:
        return Image.new("RGB", (8, 8), (index, 0, 0))

    def name(self, index: int) -> str:
        return f"picture{index}.png"


def test_the_iterator_of_batches_is_closed_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []

    def batches(images: Any, *_: Any, **__: Any) -> Iterator[Tensor]:
        try:
            for _ in range(3):
                yield some_inputs(3)
        finally:
            closed.append(1)

    monkeypatch.setattr("linexp.forward.batches.decoded_batches", batches)
    for n_good, error in ((0, KeyboardInterrupt()), (4, ValueError())):
        model = small_cnn()
        model.drop = Failing(error, n_good)
        with pytest.raises(type(error)):
            le.record(model, "head", Pictures(), preprocess=to_unit_tensor, show_progress=False)
    assert closed == [1, 1]


def test_a_model_spread_over_devices_is_not_gathered() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, device="meta"))
    with pytest.raises(ValueError, match="spread over the devices cpu, meta, and would not come back so"):
        le.record(model, "0", torch.rand(2, 3), device="cpu", show_progress=False)
