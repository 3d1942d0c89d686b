"""Folding batch normalisations into convolutions changes no activation and leaves nothing behind."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from linexp.forward import record_layers
from linexp.forward.engines import Runner
from linexp.forward.engines.fused import Fused, PairFinder, folded
from tests.fold_models import FOLDABLE, UNFOLDABLE, Branching, Ignoring, plain, without_statistics
from tests.recording_twin import record_literally, some_inputs, with_statistics


def n_pairs(model: nn.Module, *layers: str) -> int:
    finder = PairFinder(model, {name: model.get_submodule(name) for name in layers})
    model.eval()
    with torch.no_grad(), finder.watch():
        model(some_inputs(2))
    return len(finder.pairs())


def build(recipe: Any) -> nn.Module:
    torch.manual_seed(0)
    return with_statistics(recipe())


def opened(model: nn.Module, example: Tensor) -> contextlib.AbstractContextManager[Runner]:
    return Fused().open(model, {"": model}, example, lambda _, output, __: output.detach().clone())


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
    assert_same_as_literal(model, [last])


def test_a_convolution_that_ignores_its_bias_is_recorded_right() -> None:
    assert_same_as_literal(build(lambda: Branching(plain, Ignoring(3, 4, 3, bias=False))), ["bn", "end"])


def test_recorded_convolutions_stay_as_they_are() -> None:
    model = build(FOLDABLE["chain"])
    assert n_pairs(model, "0", "4") == 1
    assert_same_as_literal(model, ["0", "1", "2", "3", "4"])
    inside = build(FOLDABLE["inside"])
    assert n_pairs(inside, "0", "1") == 0
    assert_same_as_literal(inside, ["0", "0.0", "1", "1.0"])


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_hook_of_either_kind_keeps_its_module_from_being_folded(kind: str, place: int) -> None:
    model = build(FOLDABLE["chain"])
    assert n_pairs(model, "4") == 2
    getattr(model[place], f"register_{kind}")(lambda *_: None)
    assert n_pairs(model, "4") == 1


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
def test_a_hook_into_all_modules_keeps_them_from_being_folded(kind: str) -> None:
    handle = getattr(nn.modules.module, f"register_module_{kind}")(lambda *_: None)
    try:
        assert n_pairs(build(FOLDABLE["chain"]), "4") == 0
    finally:
        handle.remove()


def test_batch_statistics_are_not_folded() -> None:
    model = without_statistics()
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

    n_calls = 0

    def look(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal n_calls
        n_calls += module is model[0]
        if module is model[0] and n_calls > 3:  # not while shortcuts are looked for: it would be noticed there
            seen.append(output)

    handle = nn.modules.module.register_module_forward_hook(look)
    try:
        images = some_inputs(6)
        record_layers(model, ["4"], images, batch_size=1, show_progress=False)
    finally:
        handle.remove()
    with torch.no_grad():
        wanted = model[0](images)
    assert len(seen) >= 5
    torch.testing.assert_close(torch.cat(seen[-5:]), wanted[-5:])


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
    leaving = pytest.raises(error) if error is not None else contextlib.nullcontext()
    with leaving, folded(finder.pairs()):
        assert model[0].weight is not parameters["0.weight"]
        assert "forward" in vars(model[1])
        if error is not None:
            raise error
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


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_model_is_quickened_for_a_time(error: type[BaseException] | None) -> None:
    model = build(FOLDABLE[next(iter(FOLDABLE))]).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = [id(one) for one in model.parameters()]
    images = some_inputs(6)
    with torch.no_grad():
        plain_output = model(images)
    counted = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    with contextlib.suppress(*([error] if error else [])), opened(model, images[:3]) as runner:
        assert any("forward" in module.__dict__ for module in counted.values())
        with torch.no_grad():
            quick = model(runner.prepare(images))
        assert (quick - plain_output).abs().max() <= 1e-4 * plain_output.abs().max()
        if error:
            raise error
    assert [id(one) for one in model.parameters()] == parameters
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_a_model_that_cannot_be_watched_is_run_as_it_is() -> None:
    class Refuses(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.n_calls = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), 0

        def forward(self, images: Tensor) -> Tensor:
            self.n_calls += 1
            if self.n_calls == 1:
                raise RuntimeError("not now")
            return self.norm(self.conv(images)).mean((2, 3))

    model = with_statistics(Refuses())
    with opened(model, some_inputs(3)) as runner:
        assert runner.prepare(some_inputs(3)).is_contiguous()
        assert "forward" not in model.norm.__dict__
