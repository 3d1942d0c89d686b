"""Compiled loops stay inside their arrays: with numba looking at every index they raise nothing and say the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests import bounds_worker
from tests.compiled_cache import cache_folder
from tests.problems import PROBLEMS

LOOKING = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache_folder() / "bounds")}


def looked_at(*command: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, *command], cwd=root, env={**os.environ, **LOOKING}, capture_output=True, text=True, check=False
    )


def test_no_index_is_out_of_bounds(tmp_path: Path):
    found = looked_at("-m", "tests.bounds_worker", str(tmp_path / "looked.npz"))
    assert found.returncode == 0, found.stderr
    bounds_worker.main(str(tmp_path / "here.npz"))
    with np.load(tmp_path / "looked.npz") as looked, np.load(tmp_path / "here.npz") as here:
        assert set(looked) == set(here) == set(PROBLEMS)
        for name in PROBLEMS:
            # Sums are taken in another order where every index is looked at.
            np.testing.assert_allclose(looked[name], here[name], rtol=1e-8, atol=1e-12)


def test_an_index_out_of_bounds_would_be_noticed():
    code = "import numba, numpy; numba.njit(lambda values, place: values[place])(numpy.zeros(3), 3)"
    found = looked_at("-c", code)
    assert found.returncode == 1
    assert "IndexError: index is out of bounds" in found.stderr
