"""Runs tests in forks of a process that has the libraries loaded, and tells which tests run which line.

A part of ``tools/mutants.py``, run by the Python that has linexp's libraries. Loading them takes longer than most of
the tests that a mutant needs; linexp itself and its tests are imported in each fork anew.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, TextIO

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", MPLBACKEND="Agg")

import numba
import pytest
import torch

LOADED = (
    "hypothesis jinja2 matplotlib.pyplot pandas PIL.Image rich.progress safetensors.torch scipy.optimize scipy.stats "
    "transformers typer"
)
QUIET = ["-q", "-p", "no:cacheprovider"]


class Lines:
    """Notes which tests run which line of the rooms, and how long each takes."""

    def __init__(self, rooms: list[str]) -> None:
        import coverage  # of the mutants' environment

        self.measured = coverage.Coverage(data_file=None, include=[f"*/linexp/{room}/*" for room in rooms])
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Count what a shared fixture does, in whichever test comes first, for every test of the file."""
        self.measured.switch_context(item.nodeid.partition("::")[0])
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Count what a test does for this test."""
        self.measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up how long a test takes, from its fixtures to their end."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration

    def found(self) -> dict[str, Any]:
        """Return file → line → tests, and test → seconds."""
        data = self.measured.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        for file in data.measured_files():
            by_line = data.contexts_by_lineno(file).items()
            lines[str(Path(file).relative_to(Path.cwd()))] = {line: sorted(filter(None, ids)) for line, ids in by_line}
        return {"lines": lines, "seconds": self.seconds}


def note_lines(tests: list[str], rooms: list[str], result: Path) -> int:
    lines = Lines(rooms)
    lines.measured.start()
    code = pytest.main([*QUIET, *tests], plugins=[lines])
    lines.measured.stop()
    result.write_text(json.dumps(lines.found()), encoding="utf-8")
    return code


def run(tests: list[str], cache: str, output: Path) -> int:
    """Run tests until one fails, in this process."""
    sys.dont_write_bytecode = True  # a mutant of the same second and size would be taken for the one before
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = cache
    with output.open("w") as written:
        os.dup2(written.fileno(), 1)
        os.dup2(written.fileno(), 2)
    return pytest.main([*QUIET, "-x", *tests])


def in_fork(tests: list[str], cache: str, output: Path, limit: float) -> int | None:
    """Return the exit code of the tests; none where they took longer than ``limit`` seconds."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 70  # a crash outside of pytest
        try:
            code = int(run(tests, cache, output))
        finally:
            os._exit(code)
    started = time.monotonic()
    while time.monotonic() - started < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def serve(asked: Iterable[str], answers: TextIO) -> None:
    for library in LOADED.split():
        importlib.import_module(library)
    for line in asked:
        task = json.loads(line)
        code = in_fork(task["tests"], task["cache"], Path(task["output"]), task["limit"])
        print(json.dumps(code), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.path.append(sys.argv[1])  # behind all others: where coverage is
    torch.set_num_threads(1)
    if sys.argv[2:]:
        task = json.loads(sys.argv[2])
        sys.exit(note_lines(task["tests"], task["rooms"], Path(task["result"])))
    serve(sys.stdin, sys.stdout)
