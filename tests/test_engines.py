"""Every engine records what a literal loop sees and leaves the model as it was; a new one is one file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import linexp as le
from linexp.forward.engines import ENGINES, Engine
from tests import contracts
from tests.fold_models import FOLDABLE
from tests.recording_twin import record_literally, small_cnn, some_inputs, with_statistics

LAYERS = ["stem.0", "stem", "block.1", "head"]
EVERY = pytest.mark.parametrize("make", contracts.ENGINES.values(), ids=contracts.ENGINES)


def record(model: torch.nn.Module, engine: Any, **options: Any) -> dict[str, le.ActivationMatrix]:
    return le.record_layers(model, LAYERS, some_inputs(), engine=engine, batch_size=3, show_progress=False, **options)


def state(model: torch.nn.Module) -> list[Any]:
    parameters = [(name, id(one), one.detach().clone()) for name, one in model.named_parameters()]
    flags = [module.training for module in model.modules()]
    attributes = [sorted(vars(module)) for module in model.modules()]
    return [parameters, flags, attributes, [len(module._forward_hooks) for module in model.modules()]]


def assert_same_state(model: torch.nn.Module, before: list[Any]) -> None:
    parameters, *others = state(model)
    assert others == before[1:]
    for (name, place, values), (old_name, old_place, old_values) in zip(parameters, before[0], strict=True):
        assert (name, place) == (old_name, old_place)
        assert torch.equal(values, old_values)


def test_every_engine_is_in_the_contracts():
    assert {type(make()) for make in contracts.ENGINES.values()} == set(ENGINES.values())


@EVERY
def test_records_what_a_literal_loop_sees(make: Any):
    model = small_cnn()
    before = state(model)
    recorded = record(model, make())
    assert_same_state(model, before)
    for layer in LAYERS:
        wanted = record_literally(small_cnn(), layer, some_inputs())
        assert (recorded[layer].values - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@EVERY
def test_the_model_is_as_it_was_after_an_exception(make: Any):
    model = small_cnn()
    before = state(model)

    def read(name: str, output: Any, n_images: int) -> Tensor:
        return output.detach().clone()

    shapes: list[torch.Size] = []

    def work() -> None:
        with make().open(model, {"head": model.head}, some_inputs(4), read) as runner:
            shapes.append(runner.run(some_inputs(2))["head"].shape)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert shapes == [(2, 4)]
    assert_same_state(model, before)


@EVERY
def test_settings_and_keys_are_its_own(make: Any):
    assert make() == make()
    assert make().key == make().key
    assert sum(make().key == other().key for other in contracts.ENGINES.values()) == 1


def test_names_are_engines():
    for name, engine in (("auto", le.Fused()), ("fused", le.Fused()), ("eager", le.Eager())):
        for layer, matrix in record(small_cnn(), name).items():
            assert torch.equal(matrix.values, record(small_cnn(), engine)[layer].values)


def test_what_is_no_engine_is_said():
    with pytest.raises(
        ValueError,
        match=r"engine is 'eagre'\. Did you mean 'eager'\? Choose .*: auto, torch, eager, fused, onnxruntime, compile",
    ):
        record(small_cnn(), "eagre")
    with pytest.raises(
        TypeError,
        match=r"The engine is a bool\. Give one of auto, torch, eager, fused, onnxruntime, compile, or an Engine",
    ):
        record(small_cnn(), False)


@pytest.mark.parametrize(("fold", "engine"), [(True, "auto"), (False, "eager")])
def test_the_older_name_still_works_and_says_so(fold: bool, engine: str):
    images, labels = some_inputs(6), [0, 1, 2, 3, 0, 1]
    options: dict[str, Any] = {"batch_size": 3, "show_progress": False}
    for function, given in ((le.record, options), (le.impact, {**options, "labels": labels, "temperature": 1.0})):
        with pytest.warns(FutureWarning, match=f"fold is now called engine. Use engine='{engine}'") as said:
            old = function(small_cnn(), "stem", images, fold=fold, **given)
        assert said[0].filename == __file__
        new = function(small_cnn(), "stem", images, engine=engine, **given)
        one, other = (getattr(found, "activations", found).values for found in (old, new))
        assert torch.equal(one, other)


OWN = '''
from contextlib import contextmanager
from dataclasses import dataclass

from linexp.forward.engines import Engine, Runner


@dataclass(frozen=True)
class Scripted(Engine):
    """Runs by hand what the model does, times ``factor``."""

    factor: float = 1.0

    def ways(self, passes, example, watch):
        @contextmanager
        def way():
            yield Runner(lambda batch: {
                name: passes.read(name, self.factor * batch.relu(), len(batch)) for name in passes.layers
            })

        yield way
'''


@pytest.fixture
def own(tmp_path: Path) -> type[Any]:
    (tmp_path / "own_engine.py").write_text(OWN)
    spec = importlib.util.spec_from_file_location("own_engine", tmp_path / "own_engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Scripted


class Counting(torch.nn.ReLU):
    n_images = 0

    def forward(self, input: Tensor) -> Tensor:
        type(self).n_images += len(input)
        return super().forward(input)


@pytest.mark.parametrize(("factor", "n_run"), [(1.0, 8 + 4), (1.00001, 8 + 4), (1.01, 8 + 4 + 20)])
def test_an_engine_of_ones_own_is_one_file(own: type[Any], factor: float, n_run: int):
    """It runs in the model's place where it gives the same; where it does not, the model itself runs."""
    assert issubclass(own, Engine)
    Counting.n_images = 0
    images = some_inputs(20)
    found = le.record(torch.nn.Sequential(Counting()), "0", images, engine=own(factor), show_progress=False).values
    assert Counting.n_images == n_run
    wanted = images.relu().mean((2, 3)) * (factor if factor < 1.001 else 1)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)


def test_an_engine_of_ones_own_is_in_the_stores_key(own: type[Any], tmp_path: Path):
    assert own(1.0).key != own(1.00001).key
    store = le.Store(tmp_path / "store")
    for engine in (own(1.0), own(1.00001), "eager", "fused", "auto", own(1.0)):
        model = torch.nn.Sequential(torch.nn.ReLU())
        le.record(model, "0", some_inputs(), engine=engine, store=store, show_progress=False)
    assert len(list(tmp_path.glob("store/activations-*"))) == 4


def test_folding_is_measured_against_the_plain_model():
    """A fold that changes more than rounding is not used: the acceptance test is the base's, not the engine's."""
    torch.manual_seed(0)
    model = with_statistics(FOLDABLE["chain"]())
    wanted = record_literally(model, "4", some_inputs())

    @torch.no_grad()
    def spoilt(pair: Any) -> tuple[Tensor, Tensor]:
        return 1.01 * pair.convolution.weight, torch.zeros(len(pair.convolution.weight))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linexp.forward.engines.fused._fold", spoilt)
        found = le.record(model, "4", some_inputs(), engine="fused", show_progress=False).values
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()
