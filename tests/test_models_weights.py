"""Local weights: what is read, and what is refused with a reason."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from linexp.models import load_weights, read_weights


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_read_unwraps(wrapper: str | None, prefix: str, tmp_path: Path) -> None:
    state = network().state_dict()
    named = {prefix + key: value for key, value in state.items()}
    path = saved({wrapper: named, "epoch": 3} if wrapper else named, tmp_path / "w.pth")
    read = read_weights(path)
    assert list(read) == list(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_read_safetensors(tmp_path: Path) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    read = read_weights(str(tmp_path / "w.safetensors"))
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no weights file '.*none.pth'. Pass a local .safetensors"):
        read_weights(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (network(), r"holds a pickled torch\.nn\.modules\.\S+, and unpickling can run any code"),
        ({"state_dict": {}, "args": argparse.Namespace(lr=1)}, "holds a pickled argparse.Namespace"),
        ({"weight": torch.zeros(2), "epoch": 3}, "holds a int named 'epoch' and not tensors alone"),
        (torch.zeros(2), "holds a Tensor and no state dict"),
    ],
)
def test_more_than_tensors_is_refused(content: Any, reason: str, tmp_path: Path) -> None:
    path = saved(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=reason + r".*\. Re-save it: safetensors\.torch\.save_file"):
        read_weights(path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"<html>", b"PK\x03\x04 cut off"])
def test_no_checkpoint_at_all(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read as weights .*Re-save it"):
        read_weights(tmp_path / name)


def test_load_changes_every_weight(tmp_path: Path) -> None:
    source, target = network(), network()
    load_weights(target, saved(source.state_dict(), tmp_path / "w.pth"))
    assert all(torch.equal(target.state_dict()[key], value) for key, value in source.state_dict().items())


def test_load_without_batch_norm_counters(tmp_path: Path) -> None:
    state = {key: value for key, value in network().state_dict().items() if "num_batches" not in key}
    target = network()
    assert len(state) < len(target.state_dict())
    load_weights(target, saved(state, tmp_path / "w.pth"))
    assert all(torch.equal(target.state_dict()[key], value) for key, value in state.items())


def test_load_refuses_other_weights_and_says_which(tmp_path: Path) -> None:
    state = network().state_dict()
    state["2.weight"] = torch.zeros(7, 4, 1, 1)
    state["head.weight"] = state.pop("0.weight")
    target = network()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(ValueError, match=r"do not fit") as caught:
        load_weights(target, saved(state, tmp_path / "w.pth"))
    assert str(caught.value) == (
        f"The weights in '{tmp_path / 'w.pth'}' do not fit Sequential: "
        "1 missing (0.weight), 1 unexpected (head.weight), "
        "1 of other shape (2.weight: [7, 4, 1, 1] in the file and [2, 4, 1, 1] in the model). "
        "Pass weights of this very architecture, or build your own with 'package.module:function'."
    )
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())
