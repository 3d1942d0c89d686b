"""The content of objects: what makes two of them the same, and what does not."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from linexp.store import UnknownContentError, content_of, model_of, weights_of
from linexp.store.code import library


def same(first: object, second: object) -> bool:
    return content_of(first, "first") == content_of(second, "second")


@dataclass(frozen=True)
class Setting:
    size: int = 3
    name: str = "a"


class Colour(Enum):
    RED = 1
    BLUE = 2


class WithSlots:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def power(exponent: int) -> Callable[[float], float]:
    def raised(value: float) -> float:
        return value**exponent

    return raised


def circle() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


MAKERS: list[Callable[[], object]] = [
    lambda: None,
    lambda: 1,
    lambda: True,
    lambda: 1.0,
    lambda: float("nan"),
    lambda: "1",
    lambda: b"1",
    lambda: "\udce9",
    lambda: (1, 2),
    lambda: [1, 2],
    lambda: [[1], 2],
    lambda: [1, [2]],
    lambda: {1, 2},
    lambda: {"a": 1, "b": 2},
    lambda: {"a": 2, "b": 1},
    lambda: OrderedDict(a=1),
    lambda: torch.tensor([1.0, 2.0]),
    lambda: torch.tensor([[1.0, 2.0]]),
    lambda: torch.tensor([1.0, 2.0], dtype=torch.float64),
    lambda: torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
    lambda: torch.tensor(1.0),
    lambda: torch.empty(0),
    lambda: torch.tensor([True]),
    lambda: np.array([1.0, 2.0]),
    lambda: np.array([1.0, 2.0], dtype="<f4"),
    lambda: np.float32(1),
    lambda: np.random.default_rng(0),
    lambda: np.random.default_rng(1),
    lambda: torch.float32,
    lambda: torch.device("cpu"),
    lambda: Path("a"),
    lambda: Setting(),
    lambda: Setting(4),
    lambda: Colour.RED,
    lambda: Colour.BLUE,
    lambda: WithSlots(1),
    lambda: WithSlots(2),
    lambda: power(2),
    lambda: power(3),
    lambda: functools.partial(power, 2),
    lambda: functools.partial(power, 3),
    lambda: "abc".upper,
    lambda: "abd".upper,
    lambda: len,
    lambda: Setting,
    lambda: Colour,
    lambda: np,
    lambda: circle(),
    lambda: range(3),
    lambda: slice(3),
]


def test_equal_objects_are_the_same_and_others_are_not():
    found = [content_of(make(), "value") for make in MAKERS]
    assert found == [content_of(make(), "value") for make in MAKERS]
    repeated = [(i, j) for i, one in enumerate(found) for j, other in enumerate(found[:i]) if one == other]
    assert repeated == []


def test_order_counts_where_it_means_something():
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert same({3, 1, 2}, {2, 3, 1})
    assert not same([1, 2], [2, 1])
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    assert model_of(nn.Sequential(a, nn.ReLU())) != model_of(nn.Sequential(nn.ReLU(), a))
    assert weights_of(nn.Sequential(a, b)) != weights_of(nn.Sequential(b, a))


def own_module(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CODE = """
import functools

SIZE = 3

def half(value):
    return value / 2

def transform(value):
    '''Words.'''
    return half(value) * SIZE

@functools.lru_cache
def cached(value):
    return half(value)

class Transform:
    def __call__(self, value):
        return transform(value)
"""


@pytest.mark.parametrize("name", ["transform", "Transform", "cached"])
@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("value / 2", "value / 3", False),
        ("SIZE = 3", "SIZE = 4", False),
        ("* SIZE", "+ SIZE", False),
        ("'''Words.'''", "'''Words.'''\n    # a remark", True),
        ("half", "other", False),
        ("SIZE = 3", "SIZE = 3\nUNUSED = 5", True),
    ],
)
def test_own_code_counts_by_what_it_does(tmp_path: Path, name: str, before: str, after: str, *, is_same: bool):
    first = own_module(tmp_path / "one.py", CODE)
    second = own_module(tmp_path / "two.py", CODE.replace(before, after))
    made = [getattr(module, name) for module in (first, second)]
    if name == "Transform":
        made = [one() for one in made]
    assert same(*made) == (is_same or (name == "cached" and "SIZE" in before))  # which it does not read


def test_code_of_libraries_counts_by_version():
    assert library("torch.nn.modules.linear") == f"torch {torch.__version__}"
    assert library("os.path") == f"python {sys.version_info.major}.{sys.version_info.minor}"
    assert library("linexp.models.base") is not None
    assert library(__name__) is None
    assert library("__main__") is None


def test_weights_and_the_rest_are_told_apart():
    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert model_of(model) == model_of(other)
    assert weights_of(model) != weights_of(other)
    other.load_state_dict(model.state_dict())
    assert weights_of(model) == weights_of(other)
    assert weights_of(model) != weights_of(model.double())
    norm = nn.BatchNorm2d(2)
    before = weights_of(norm), model_of(norm)
    assert norm.running_mean is not None
    norm.running_mean[0] = 1
    assert weights_of(norm) != before[0]
    norm.eps = 1e-4
    assert model_of(norm) != before[1]
    norm.eps, norm.training = 1e-5, False  # recording sets the flag itself
    assert model_of(norm) == before[1]


class Lists(nn.Module):
    """Keeps a module where torch does not look for it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Linear(2, 2)]


def test_weights_that_torch_does_not_list_count_with_the_rest():
    torch.manual_seed(0)
    first, second = Lists(), Lists()
    assert model_of(first) != model_of(second)
    second.hidden[0].load_state_dict(first.hidden[0].state_dict())
    assert model_of(first) == model_of(second)


def test_what_has_no_lasting_content_is_refused_by_name():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].lock = threading.Lock()  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownContentError, match=r"^model\.0\.lock is a lock, of which nobody can say "):
        model_of(model)
    with pytest.raises(UnknownContentError, match=r"preprocess\[1\] is a generator"):
        content_of([1, (number for number in range(2))], "preprocess")


LOCK = threading.Lock()


def test_a_tensor_without_bytes_is_refused_by_name():
    with pytest.raises(
        UnknownContentError, match=r"shift is a tensor of torch\.float32 \(torch\.sparse_coo\), whose bytes"
    ):
        content_of(torch.eye(2).to_sparse(), "shift")


def test_a_lock_that_code_merely_uses_is_no_obstacle():
    def transform(value: float) -> float:
        with LOCK:
            return value

    assert same(transform, transform)


def test_another_process_finds_the_same_content():
    code = (
        "from tests.test_store_hashing import *; torch.manual_seed(0);"
        "print([content_of(m(), 'x') for m in MAKERS], model_of(nn.Conv2d(3, 2, 1)), weights_of(nn.Conv2d(3, 2, 1)))"
    )
    root = Path(__file__).parents[1]
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
