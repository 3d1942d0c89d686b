"""Every failure says what is wrong, with which image or layer, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import linexp as le
from linexp.models.base import to_unit_tensor
from tests.recording_twin import small_cnn, some_inputs


def quiet(model: Any, layer: str, images: Any, **settings: Any) -> Tensor:
    return le.record(model, layer, images, show_progress=False, **settings).values


class Routing(nn.Module):
    """Runs its layer as often as ``n_times`` says, batch by batch (the first number is for the first pass)."""

    def __init__(self, *n_times: int, error: type[BaseException] = ZeroDivisionError) -> None:
        super().__init__()
        self.layer, self.end, self.n_times, self.error = nn.Linear(3, 2), nn.Identity(), list(n_times), error

    def forward(self, inputs: Tensor) -> Tensor:
        output = inputs
        try:
            for _ in range(self.n_times.pop(0) if len(self.n_times) > 1 else self.n_times[0]):
                output = self.layer(inputs)
        except self.error:
            pass
        return self.end(output)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["steem"], r"no layer 'steem'\. Did you mean 'stem'\? Layers: stem, block, drop, head \(10 with those inside"),
        (["stem.9"], r"no layer 'stem\.9'\. Did you mean 'stem\.\d'\?"),
        (["features"], r"no layer 'features'\."),
        ([""], r"no layer ''"),
        ([], r"asked for are \[\]\. Name at least one"),
        (["head", "head"], r"Name at least one, each once"),
        ("head", r"are the text 'head'\. Give a list of names, such as \['head'\]"),
    ],
)
def test_layers_that_do_not_exist(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        le.record_layers(small_cnn(), layers, some_inputs())


def test_a_layer_that_never_runs() -> None:
    with pytest.raises(ValueError, match="Layer 'layer' does not run in the model's forward pass"):
        quiet(Routing(0), "layer", torch.rand(5, 3))


def test_a_layer_that_runs_several_times() -> None:
    with pytest.raises(ValueError, match=r"Layer 'layer' runs 3 times in one forward pass.*the block around it"):
        quiet(Routing(3), "layer", torch.rand(5, 3))


@pytest.mark.parametrize(("n_times", "message"), [(0, "does not run"), (2, "runs 2 times")])
def test_a_layer_that_stops_running_once_after_the_first_batch(n_times: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        le.record_layers(Routing(1, 1, 1, n_times), ["layer", "end"], torch.rand(6, 3), batch_size=2, engine="eager")


def test_a_model_that_catches_exceptions_does_not_catch_ours() -> None:
    with pytest.raises(ValueError, match="not one number per neuron"):
        quiet(Routing(1, error=Exception), "layer", torch.rand(5, 4, 3), pool="none")


class Returning(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.layer.forward = lambda inputs: output(inputs) if callable(output) else output

    def forward(self, inputs: Tensor) -> Tensor:
        self.layer(inputs)
        return inputs


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("text", "Layer 'layer' returns str, not activations"),
        (torch.arange(5), r"returns a tensor of torch\.int64, not activations"),
        (torch.ones(2, 3), r"returns a tensor of shape \[2, 3\] for 5 images"),
        (lambda inputs: inputs.new_empty(5, 0), r"returns an empty tensor of shape \[5, 0\]"),
    ],
)
def test_layers_without_activations(output: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quiet(Returning(output), "layer", torch.rand(5, 3))


def test_another_number_of_neurons_on_later_images() -> None:
    model = Returning(lambda inputs: inputs[:, : int(inputs[0, 0])])
    inputs = torch.tensor([[2.0, 1, 1], [2, 1, 1], [3, 1, 1], [3, 1, 1]])
    with pytest.raises(ValueError, match=r"gave 2 neurons on the first images and 3 on image 2\. Bring all images"):
        quiet(model, "layer", inputs, batch_size=2)


def test_nan_names_neuron_and_image() -> None:
    inputs = torch.rand(7, 3)
    inputs[5, 1] = float("nan")
    with pytest.raises(ValueError, match="Neuron 1 of layer '0' is nan on image 5"):
        quiet(nn.Sequential(nn.Identity()), "0", inputs, batch_size=2)


def test_infinity_names_the_file(tmp_path: Path) -> None:
    for index in range(5):
        Image.new("RGB", (4, 4), (50 * index, 0, 0)).save(tmp_path / f"picture{index}.png")
    model = nn.Sequential(Returning(None), nn.Identity())
    model[0] = nn.Threshold(0.7, float("inf"))
    model[0].forward = lambda images: torch.where(images > 0.7, torch.inf, images)
    with pytest.raises(ValueError, match=r"Neuron 0 of layer '1' is inf on .*picture4\.png"):
        quiet(model, "1", tmp_path, preprocess=to_unit_tensor, batch_size=2)


def test_pictures_without_preprocessing() -> None:
    with pytest.raises(ValueError, match=r"Nothing says how pictures become inputs of this model\. Pass preprocess="):
        quiet(small_cnn(), "head", np.zeros((2, 8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize("images", [torch.rand(0, 3, 8, 8), torch.tensor(1.0)])
def test_no_images(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"There are 0 images\. Give at least one"):
        quiet(small_cnn(), "head", images)


@pytest.mark.parametrize("device", ["cuda", "gpu", "meta"])
def test_devices_that_cannot_be_used(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = torch.empty

    def without_gpu(*shape: int, device: str) -> Tensor:
        if device == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled")
        return empty(*shape, device=device)

    model = small_cnn()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", without_gpu)
        with pytest.raises(ValueError, match=rf"The device '{device}' cannot be used here \(.*\)\. Use device 'cpu'"):
            quiet(model, "head", some_inputs(), device=device)
    assert next(model.parameters()).device.type == "cpu"


def test_inputs_the_model_cannot_take() -> None:
    with pytest.raises(RuntimeError, match=r"fails on a batch of shape \[2, 1, 8, 8\] \(torch\.float32\): .*\. Check"):
        quiet(small_cnn(), "head", torch.rand(2, 1, 8, 8))
    with pytest.raises(RuntimeError, match=r"\(torch\.float64\): .* Check that preprocess"):
        quiet(small_cnn(), "head", torch.rand(2, 3, 8, 8, dtype=torch.float64))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_no_memory_is_said_with_the_shape_of_the_batch(error: RuntimeError) -> None:
    class Large(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise error

    with pytest.raises(
        RuntimeError, match=r"no memory for a batch of shape \[1, 3\] .*emory.*\. Use a machine with more m"
    ):
        quiet(nn.Sequential(nn.Linear(3, 2), Large()), "1", torch.rand(2, 3))


class MyError(RuntimeError):
    pass


@pytest.mark.parametrize("error", [ValueError("too small"), KeyError("x"), MyError("mine"), AssertionError("size")])
@pytest.mark.parametrize("layer", ["0", "1"])
def test_errors_of_the_model_itself_are_passed_on(error: Exception, layer: str) -> None:
    class Refusing(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise error

    with pytest.raises(type(error)) as caught:
        quiet(nn.Sequential(nn.Linear(3, 2), Refusing()), layer, torch.rand(2, 3))
    assert caught.value is error


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"batch_size": 0}, "batch_size is 0. It must be at least 1"), ({"pool": "men"}, "Did you mean 'mean'")],
)
def test_settings_are_checked(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quiet(small_cnn(), "head", some_inputs(), **settings)


def test_what_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"The model is a function\. Give a torch\.nn\.Module"):
        quiet(lambda images: images, "head", some_inputs())


def test_transforms_that_make_different_sizes(tmp_path: Path) -> None:
    for index, side in enumerate((8, 8, 9)):
        Image.new("RGB", (side, side)).save(tmp_path / f"picture{index}.png")
    with pytest.raises(ValueError, match=r"picture2\.png.*resize to a fixed size"):
        quiet(small_cnn(), "head", tmp_path, preprocess=to_unit_tensor, batch_size=1)
