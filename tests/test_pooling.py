"""From a layer's output to one number per image and neuron."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from linexp.forward import record, record_layers
from linexp.forward.units import choose_units
from tests.recording_twin import pool_literally


def pooled(output: Any, n_images: int = 3, **settings: Any) -> Tensor:
    return choose_units(**settings).read(output, "layer", n_images)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


SHAPES = [(3,), (3, 4), (3, 5, 4), (3, 4, 2, 5), (3, 4, 2, 5, 3)]


@pytest.mark.parametrize("channels", ["first", "last"])
@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_literal_loops(shape: tuple[int, ...], pool: Any, channels: Any) -> None:
    output = numbers(*shape)
    wanted = torch.tensor([pool_literally(one.double(), pool, channels, 0) for one in output])
    found = pooled(output, pool=pool, channels=channels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted.float(), rtol=1e-6, atol=1e-6)


def test_memory_layout_does_not_matter() -> None:
    output = numbers(3, 4, 6, 5)
    for pool in ("mean", "max"):
        torch.testing.assert_close(
            pooled(output.contiguous(memory_format=torch.channels_last), pool=pool), pooled(output, pool=pool)
        )


def test_mean_counts_the_class_token_and_token_takes_one() -> None:
    tokens = torch.tensor([[[9.0, 0.0], [1.0, 2.0], [2.0, 4.0]]])
    assert pooled(tokens, 1).tolist() == [[4.0, 2.0]]
    assert pooled(tokens, 1, pool="token").tolist() == [[9.0, 0.0]]
    assert pooled(tokens, 1, pool="token", token=2).tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("pool", ["none", "mean", "max"])
def test_scalars_pass_through_unchanged(pool: Any) -> None:
    output = numbers(3, 4)
    assert torch.equal(pooled(output, pool=pool), output)
    assert torch.equal(pooled(output[:, 0], pool=pool), output[:, :1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_pooled_in_single(dtype: torch.dtype) -> None:
    large = torch.full((1, 1, 64, 64), 60_000.0).to(dtype)  # the sum overflows float16
    assert pooled(large, 1).item() == large[0, 0, 0, 0].item()
    fine = (1 + numbers(2, 3, 32, 32)).to(dtype)
    assert torch.equal(pooled(fine, 2), fine.float().mean((2, 3)))
    assert torch.equal(pooled(fine, 2, pool="max"), fine.float().amax((2, 3)))
    assert pooled(fine[:, :, 0, 0], 2).dtype == torch.float32


def test_double_precision_is_pooled_in_double() -> None:
    output = torch.tensor([[2.0**24 + 1, -(2.0**24), 1.0, 2.0]], dtype=torch.float64).reshape(1, 1, 2, 2)
    assert pooled(output, 1).item() == 1.0


class Named(NamedTuple):
    attentions: Tensor | None
    hidden: Tensor


@dataclass
class Plain:
    name: str
    hidden: Tensor


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensor: (tensor, numbers(7)),
        lambda tensor: [None, (tensor,)],
        lambda tensor: {"name": "x", "hidden": tensor},
        lambda tensor: OrderedDict(hidden=tensor, other=numbers(3)),
        lambda tensor: Named(None, tensor),
        lambda tensor: Plain("x", tensor),
    ],
)
def test_the_first_tensor_of_a_structured_output_is_meant(wrap: Any) -> None:
    output = numbers(3, 4, 2, 2)
    assert torch.equal(pooled(wrap(output)), pooled(output))


def test_pooled_values_hold_no_graph_and_no_part_of_the_output() -> None:
    for output in (numbers(3, 4), numbers(3, 5, 4), numbers(3, 4, 1, 1)):
        for pool in ("mean", "max", "token") if output.ndim == 3 else ("mean", "max"):
            source = (output.clone().requires_grad_() * 1.0).requires_grad_()
            values = pooled(source, pool=pool)
            before = values.clone()
            assert not values.requires_grad
            source.detach().fill_(7)
            assert torch.equal(values, before)


class Overwriting(nn.Module):
    """Changes the output of its layer in place."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs).relu_().mul_(0)


@pytest.mark.parametrize(
    ("layer", "shape", "settings"),
    [
        (nn.Linear(4, 5), (6, 4), {}),
        (nn.Linear(4, 5), (6, 3, 4), {"pool": "token"}),
        (nn.Linear(4, 5), (6, 3, 4), {}),
        (nn.Conv2d(4, 5, 1), (6, 4, 1, 1), {}),
        (nn.BatchNorm2d(4), (6, 4, 2, 2), {"pool": "max"}),
    ],
)
def test_later_in_place_operations_do_not_change_what_is_recorded(layer: Any, shape: Any, settings: Any) -> None:
    inputs = numbers(*shape)
    with torch.no_grad():
        wanted = choose_units(**settings).read(layer.eval()(inputs), "layer", 6)
    found = record(Overwriting(layer), "layer", inputs, show_progress=False, **settings).values
    torch.testing.assert_close(found, wanted)


class Five(nn.Module):
    """A layer of each kind of output."""

    def __init__(self) -> None:
        super().__init__()
        self.video, self.map, self.tokens, self.scalars = nn.Identity(), nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        self.video(inputs)
        self.map(inputs[:, :, 0])
        self.tokens(inputs[:, :, 0, 0])
        return self.scalars(inputs[:, :, 0, 0, 0])


def test_outputs_of_all_ranks_are_recorded_in_one_pass() -> None:
    inputs = numbers(5, 2, 3, 4, 6)
    recorded = record_layers(Five(), ["video", "map", "tokens", "scalars"], inputs, batch_size=2, show_progress=False)
    wanted = [inputs.mean((2, 3, 4)), inputs[:, :, 0].mean((2, 3)), inputs[:, :, 0, 0].mean(1), inputs[:, :, 0, 0, 0]]
    for matrix, values in zip(recorded.values(), wanted, strict=True):
        torch.testing.assert_close(matrix.values, values)
    last = record(Five(), "map", inputs, channels="last", show_progress=False)
    torch.testing.assert_close(last.values, inputs[:, :, 0].mean((1, 2)))


@pytest.mark.parametrize(
    ("output", "settings", "message"),
    [
        ("words", {}, "Layer 'layer' returns str, not activations."),
        (None, {}, "Layer 'layer' returns NoneType, not activations."),
        ((), {}, "Layer 'layer' returns tuple, not activations."),
        (torch.ones(3, 2, dtype=torch.int64), {}, r"a tensor of torch\.int64, not activations"),
        (torch.ones(()), {}, r"shape \[\] for 3 images; its first axis must be the images"),
        (numbers(12, 4), {}, r"shape \[12, 4\] for 3 images; its first axis must be the images"),
        (numbers(3, 0, 4), {}, r"an empty tensor of shape \[3, 0, 4\]"),
        (numbers(3, 4, 2, 2), {"pool": "none"}, r"\[3, 4, 2, 2\], not one number per neuron.*Use pool 'mean'"),
        (numbers(3, 4, 2), {"pool": "none"}, r"\[3, 4, 2\], not one number per neuron"),
        (numbers(3, 4, 2, 2), {"pool": "token"}, r"\[3, 4, 2, 2\], which has no token 0 .*Use pool 'mean'"),
        (numbers(3, 4, 2), {"pool": "token", "token": 4}, r"\[3, 4, 2\], which has no token 4"),
        (numbers(3, 4), {"pool": "token"}, r"\[3, 4\], which has no tokens"),
    ],
)
def test_outputs_that_are_no_activations_are_refused(output: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pooled(output, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": "average"}, "pool is 'average'.*Choose one of: mean, max, token, none"),
        ({"channels": "middle"}, "channels is 'middle'.*Choose one of: auto, first, last"),
        ({"token": -1}, "token is -1. It must be at least 0"),
    ],
)
def test_settings_are_checked(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_units(**settings)
