"""ONNX Runtime: what it refuses and why, what auto does then, and that no batch, thread or timing moves a byte."""

from __future__ import annotations

import builtins
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.forward.engines import ENGINES, EngineError, choose_engine
from tests.recording_twin import record_literally, small_cnn, some_inputs

CPU = torch.device("cpu")


def values(model: nn.Module, layer: str, images: Any, engine: Any = "onnxruntime", **options: Any) -> Tensor:
    return le.record(model, layer, images, engine=engine, show_progress=False, **options).values


def auto() -> le.OnnxRuntime:
    """Return what "auto" is where there are many images."""
    chosen = choose_engine("auto", 512, CPU)
    assert isinstance(chosen, le.OnnxRuntime)
    return chosen


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="linexp.engines")
    return caplog


def test_auto_takes_it_for_many_images_on_a_cpu():
    assert auto() == le.OnnxRuntime(otherwise=le.Fused())
    assert choose_engine("auto", 511, CPU) == le.Fused()
    assert choose_engine("auto", 512, torch.device("meta")) == le.Fused()
    assert choose_engine("torch", 10_000, CPU) == le.Fused()


@pytest.mark.parametrize("batch_size", [1, 2, 8, 19])
def test_neither_batches_nor_threads_move_a_byte(batch_size: int):
    images = some_inputs(19)
    wanted = values(small_cnn(), "stem", images, batch_size=3)
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        try:
            assert torch.equal(values(small_cnn(), "stem", images, batch_size=batch_size), wanted)
            assert torch.get_num_threads() == n_threads
        finally:
            torch.set_num_threads(1)


class Branching(nn.Module):
    """Takes another way through for other images."""

    def forward(self, batch: Tensor) -> Tensor:
        return -batch if batch.mean() > 0 else batch


class Unknown(nn.Module):
    """Uses an operation that ONNX does not have."""

    def forward(self, batch: Tensor) -> Tensor:
        return torch.special.bessel_j0(batch)


class Restless(nn.Module):
    """Gives something else each time."""

    n_calls = 0

    def forward(self, batch: Tensor) -> Tensor:
        self.n_calls += 1
        return batch * self.n_calls


REFUSED = {
    "control flow": (Branching, r"reads numbers out of tensors \(an if, or \.item\(\)\)"),
    "unknown operator": (Unknown, r"layer '1' uses the operator aten::special_bessel_j0"),
    "changes from call to call": (Restless, r"layer '1' is off from torch by .* of its largest activation"),
}


@pytest.mark.parametrize(("kind", "why"), REFUSED.values(), ids=REFUSED)
def test_a_model_it_cannot_run_is_refused_with_the_reason(kind: type[nn.Module], why: str):
    with pytest.raises(EngineError, match=rf"ONNX Runtime cannot run this model: .*{why}.*\(--engine torch\)"):
        values(nn.Sequential(nn.Identity(), kind()), "1", some_inputs(5))


@pytest.mark.parametrize(("kind", "why"), list(REFUSED.values())[:2], ids=list(REFUSED)[:2])
def test_auto_runs_it_with_torch_and_the_reason_is_told_to_who_asks(
    kind: type[nn.Module], why: str, told: pytest.LogCaptureFixture
):
    found = values(nn.Sequential(nn.Identity(), kind()), "1", some_inputs(5), auto())
    assert torch.equal(found, values(nn.Sequential(nn.Identity(), kind()), "1", some_inputs(5), "eager"))
    assert [one.levelname for one in told.records] == ["DEBUG", "INFO"]
    assert told.messages[1] == "engine: torch, for ONNX Runtime does not give what this model does (--verbose says why)"
    told.messages[0].index("ONNX Runtime is not used: ")
    with pytest.raises(EngineError, match=why):
        values(nn.Sequential(nn.Identity(), kind()), "1", some_inputs(5))


def test_what_runs_is_said_in_one_line(told: pytest.LogCaptureFixture):
    values(small_cnn(), "stem", some_inputs(5), auto())
    (line,) = told.messages
    assert line.startswith("engine: onnxruntime ")
    assert " on the first images " in line


@pytest.mark.parametrize("missing", ["onnxruntime", "onnx"])
def test_without_the_extra_the_name_says_what_to_install_before_a_picture_is_read(
    missing: str, monkeypatch: pytest.MonkeyPatch
):
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=rf"'{missing}' is needed .*pip install 'linexp\[fast\]'"):
        values(small_cnn(), "stem", "no such folder")
    assert choose_engine("auto", 512, CPU) == le.Fused()


def test_without_the_extra_one_line_says_what_it_would_bring(
    monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
):
    monkeypatch.setattr("linexp.forward.engines.table.is_installed", lambda: False)
    from linexp.forward.engines import table

    table._tell_what_would_be_faster.cache_clear()
    for _ in range(2):
        assert choose_engine("auto", 512, CPU) == le.Fused()
    assert len(told.messages) == 1
    assert "pip install 'linexp[fast]'" in told.messages[0]


def test_images_of_another_size_run_through_the_module_itself():
    """The inputs of one batch are of one size; another batch may be of another."""
    engine, model = le.OnnxRuntime(), small_cnn()
    images = [some_inputs(3), some_inputs(3)[:, :, :7, :5], some_inputs(2)]

    def read(name: str, output: Any, n_images: int) -> Tensor:
        return le.Channels().read(output, name, n_images)

    # Not in the order in which they run: what each gives must still be its own.
    layers = {"head": model.head, "stem": model.stem}
    with engine.open(model, layers, some_inputs(4), read) as runner:
        for found, batch in zip(runner.over(iter(images)), images, strict=True):
            for name in layers:
                wanted = record_literally(small_cnn(), name, batch).float()
                torch.testing.assert_close(found[name], wanted, rtol=1e-5, atol=1e-6)


def test_what_ran_before_a_broken_picture_is_kept(tmp_path: Path):
    """Batches that wait are handed out before the error of a later one."""
    images = le.ImageArray(np.zeros((300, 8, 8, 3), np.uint8))

    def preprocess(picture: Any) -> Tensor:
        preprocess.n += 1  # pyright: ignore[reportFunctionMemberAccess]
        if preprocess.n > 200:  # pyright: ignore[reportFunctionMemberAccess]
            raise ValueError("broken")
        return le.to_unit_tensor(picture)

    preprocess.n = 0  # pyright: ignore[reportFunctionMemberAccess]
    seen: list[int] = []
    from linexp.forward import open_source

    source = open_source(images, nn.Identity(), preprocess, 8, 0)
    from linexp.store import whole

    model = nn.Sequential(nn.Conv2d(3, 2, 3))

    def read(name: str, output: Any, n_images: int) -> Tensor:
        return le.Channels().read(output, name, n_images)

    def work() -> None:
        with le.OnnxRuntime().open(model, {"0": model[0]}, torch.zeros(4, 3, 8, 8), read) as runner:
            for found in runner.over(source.batches(whole(300))):
                seen.append(len(found["0"]))

    with pytest.raises(ValueError, match="broken"):
        work()
    assert sum(seen) == 200


def test_another_engine_has_another_key_and_is_not_mixed(tmp_path: Path):
    store = le.Store(tmp_path / "store")
    for engine in ("onnxruntime", "torch", "onnxruntime"):
        values(small_cnn(), "stem", some_inputs(9), engine, store=store)
    assert len(list(tmp_path.glob("store/activations-*"))) == 2


def test_the_key_names_the_version(monkeypatch: pytest.MonkeyPatch):
    before = le.OnnxRuntime().key
    assert before.split("onnxruntime ")[-1][0].isdigit()
    monkeypatch.setattr("onnxruntime.__version__", "9.9.9")
    assert le.OnnxRuntime().key != before


def test_a_graph_beyond_two_gigabytes_has_its_weights_in_files_beside_it(monkeypatch: pytest.MonkeyPatch):
    """The exporter writes them so for 2 GB; here it is told that a few bytes are that."""
    files: list[list[str]] = []
    real = torch.onnx.export

    def export(graph: Any, inputs: Any, file: str, **options: Any) -> None:
        real(graph, inputs, file, **options)
        import onnx

        onnx.save_model(onnx.load(file), file, save_as_external_data=True, size_threshold=0, location="weights")
        files.append(sorted(path.name for path in Path(file).parent.iterdir()))

    monkeypatch.setattr("torch.onnx.export", export)
    found = values(small_cnn(), "stem", some_inputs(5))
    assert files == [["graph.onnx", "weights"]]
    wanted = record_literally(small_cnn(), "stem", some_inputs(5))
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


class Scarce(nn.Module):
    """Has memory for two images at a time."""

    largest = 0

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.error = error

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > 2:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB.")
        type(self).largest = max(self.largest, len(batch))
        return 2 * batch


@pytest.mark.parametrize("error", [RuntimeError, torch.cuda.OutOfMemoryError])
def test_a_batch_without_memory_runs_in_halves(error: type[Exception], told: pytest.LogCaptureFixture):
    images = some_inputs(21)
    found = values(nn.Sequential(Scarce(error)), "0", images, "eager", batch_size=8)
    torch.testing.assert_close(found, 2 * images.mean((2, 3)))
    assert Scarce.largest == 2
    # The pass that looks at the layers, and the recording, each found it out once.
    assert [line for line in told.messages if line.startswith("memory:")] == [
        f"memory: there is none for batches of {size}, so they are of {size // 2}" for size in (8, 4, 8, 4)
    ]


def test_fewer_digits_are_measured_and_said(told: pytest.LogCaptureFixture):
    wanted = record_literally(small_cnn(), "stem", some_inputs(9))
    found = values(small_cnn(), "stem", some_inputs(9), le.LowPrecision("bfloat16"))
    off = float((found - wanted).abs().max() / wanted.abs().max())
    assert found.dtype == torch.float32
    assert 1e-5 < off < 0.05
    (line,) = told.messages
    assert line.startswith("precision: bfloat16; on the first images off from float32 by 0.")


def test_fewer_digits_and_an_engine_of_float32_contradict_each_other():
    from linexp.forward.engines import with_precision

    assert with_precision("onnxruntime", "float32") == "onnxruntime"
    assert with_precision("auto", "float16") == le.LowPrecision("float16")
    with pytest.raises(ValueError, match=r"onnxruntime computes in float32 and the precision is float16\. Leave one"):
        with_precision("onnxruntime", "float16")
    with pytest.raises(ValueError, match=r"precision is 'bf16'\..* bfloat16"):
        le.LowPrecision("bf16")


class Flags(nn.Module):
    """Notes whether convolutions may drop digits."""

    seen: set[bool] = set()  # noqa: RUF012

    def forward(self, batch: Tensor) -> Tensor:
        self.seen.add(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)
        return batch


def test_no_pass_drops_digits_and_the_settings_come_back():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        for name in ("eager", "fused"):
            assert name in ENGINES
            Flags.seen.clear()
            with ENGINES[name]().open(module := Flags(), {"": module}, torch.ones(4, 3), lambda _, out, __: out) as run:
                run.run(torch.ones(2, 3))
            assert Flags.seen == {False}
            assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
