"""Where models run: the best place there is, unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import linexp as le
from linexp._internal.checks import check_device, choose_device, device_for_doubles
from linexp.ablation.losses import judge
from linexp.results.folder import load_run
from tests.colour_world import make_world
from tests.command_line import Run, command_line


def has(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen", "doubles"),
    [(True, True, "cuda", "cuda"), (False, True, "mps", "cpu"), (False, False, "cpu", "cpu")],
)
def test_auto_is_cuda_then_mps_then_the_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str, doubles: str
):
    has(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device("auto") == chosen
    assert device_for_doubles("auto") == doubles
    assert choose_device("cpu") == device_for_doubles("cpu") == "cpu"


def test_in_python_auto_is_a_device_too(monkeypatch: pytest.MonkeyPatch):
    has(monkeypatch, cuda=False, mps=True)
    le.LinearExplainer(device="auto")  # MPS has no float64, so that it explains on the CPU
    le.LinearExplainer(device="mps")
    has(monkeypatch, cuda=False, mps=False)
    assert check_device("auto") == torch.device("cpu")
    has(monkeypatch, cuda=True, mps=False)  # which this torch has not, and says when it is used
    with pytest.raises(ValueError, match="moved to the device 'cuda'"):
        le.load_model("efficientnet_lite0", device="auto")


def test_losses_are_the_same_where_there_is_no_float64():
    logits, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
    expected = torch.nn.functional.cross_entropy(logits.double() / 1.5, labels, reduction="none")
    torch.testing.assert_close(judge(logits, labels, 1.5)[0], expected)


@pytest.fixture
def linexp(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    yield from command_line(make_world(tmp_path_factory.mktemp("world")), monkeypatch, capfd)


def test_every_command_takes_the_best_device_and_says_so(linexp: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--seed", "1")
    has(monkeypatch, cuda=False, mps=False)
    ended = linexp(*start, "--out", tmp_path / "out")
    assert ended.out.startswith("device: cpu\n")
    settings = load_run(tmp_path / "out").settings
    assert settings["device"] == settings["explainer"]["device"] == "cpu"
    has(monkeypatch, cuda=True, mps=False)
    ended = linexp(*start, "--out", tmp_path / "gpu")
    assert (ended.code, "'cuda'" in ended.err) == (1, True)
    assert linexp(*start, "--device", "cpu", "--out", tmp_path / "told").code == 0
    for command in (
        ("impact", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures"),
        ("ablate", tmp_path / "out"),
        ("score", tmp_path / "out", "--simulator", "conse:efficientnet_lite1"),
        ("calibrate", "--encoder", "conse:efficientnet_lite1", "--images", "pictures", "--out", tmp_path / "c.json"),
    ):
        ended = linexp(*command)
        assert (ended.code, "'cuda'" in ended.err) == (1, True), command[0]


def test_a_device_that_is_none_is_said(linexp: Run, tmp_path: Path):
    start = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--device", "cudda")
    ended = linexp(*start, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert "The device 'cudda' cannot be used here" in ended.err
