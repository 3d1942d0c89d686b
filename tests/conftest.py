"""What every test runs under: no network, no screen, none of the user's files, the same examples each time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path

from tests.compiled_cache import cache_folder
from tests.own_blocks import OwnBlocks, is_whole
from tests.slow import is_slow

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", MPLBACKEND="Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: what it starts must not take their cores either
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder()))

import hypothesis
import pytest
import torch


def declare_missing_operators() -> torch.library.Library | None:
    """Let torchvision be imported beside a torch of another build: declare what its binary would bring."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    for binary in Path(spec.origin).parent.glob("_C*"):
        with contextlib.suppress(OSError):
            torch.ops.load_library(binary)
    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


OPERATORS = declare_missing_operators()  # they exist as long as this object does

# Tests work on small things; on a busy machine, waiting for a second thread takes most of the time.
torch.set_num_threads(1)

# LINEXP_FUZZ=1000: so many cases of every test of random input, other ones each time (benchmarks/fuzz.py).
asked = int(os.environ.get("LINEXP_FUZZ", "0"))
hypothesis.settings.register_profile("linexp", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=max(asked, 1), print_blob=True)
hypothesis.settings.load_profile("fuzz" if asked else "linexp")


def pytest_configure(config: pytest.Config) -> None:
    if is_whole(config):
        config.pluginmanager.register(OwnBlocks(config), "own_blocks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item.path.stem, item.name.partition("[")[0]):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the user's cache folder into the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder
