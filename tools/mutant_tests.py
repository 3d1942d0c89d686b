"""Runs tests on changed functions, each change in a fork of one process: a part of mutants.py.

Importing what the tests import takes longer than most of the tests that a change needs. So the tests are collected
once; a fork takes the place of a new process, and in it the changed code takes the place of a function's own. What is
changed outside of functions (a constant, a default) cannot be put in so; whoever asks is told.

Reads a task a line, and answers each with a line; the first answer says which tests run which line.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TextIO

import pytest

FAILED, NOT_INSIDE, ENDLESS, CRASHED = 1, 3, 4, 70
HANGING = 600  # seconds after which a fork that only waits is given up


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

    def run(self, items: list[pytest.Item], result: Path) -> int:
        """Run all tests, and write file → line → tests, and test → seconds of the processor."""
        self.measured.start()
        for item, after in zip(items, [*items[1:], None], strict=True):
            started = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            self.seconds[item.nodeid] = time.process_time() - started
        self.measured.stop()
        data = self.measured.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        for file in data.measured_files():
            by_line = data.contexts_by_lineno(file).items()
            lines[str(Path(file).relative_to(Path.cwd()))] = {line: sorted(filter(None, ids)) for line, ids in by_line}
        result.write_text(json.dumps({"lines": lines, "seconds": self.seconds}), encoding="utf-8")
        return 0


class Server:
    """Takes the place of pytest's loop over the tests."""

    def __init__(self, asked: TextIO, answers: TextIO) -> None:
        self.asked, self.answers = asked, answers

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answer until no more is asked."""
        items = {item.nodeid: item for item in session.items}
        for line in self.asked:
            task = json.loads(line)
            child = os.fork()
            if child == 0:
                os.setsid()
                os._exit(attempt(task, items, session))
            answer = wait(child, math.inf if "lines" in task else HANGING)
            print(json.dumps(answer), file=self.answers, flush=True)
        return True


def attempt(task: dict[str, Any], items: dict[str, pytest.Item], session: pytest.Session) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (task["limit"], task["limit"]))
    try:
        return work(task, items, session)
    except BaseException:  # noqa: BLE001 - whatever went wrong outside of a test must not be taken for its failure
        Path("crash.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return CRASHED


def work(task: dict[str, Any], items: dict[str, pytest.Item], session: pytest.Session) -> int:
    if "lines" in task:
        lines = Lines(task["rooms"])
        session.config.pluginmanager.register(lines)
        return lines.run(list(items.values()), Path(task["lines"]))
    if not put_in(Path(task["file"]), task["code"]):
        return NOT_INSIDE
    chosen = [items[test] for test in task["tests"] if test in items]
    for item, after in zip(chosen, [*chosen[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return FAILED
    return 0


def put_in(file: Path, changed: str) -> bool:
    """Put changed code into the functions of a file; tell whether all that is changed is inside of them."""
    importlib.import_module(".".join(file.with_suffix("").parts[1:]).removesuffix(".__init__"))  # linexp imports late
    path = str(file.absolute())
    before = dict(functions(compile(file.read_text(encoding="utf-8"), path, "exec", dont_inherit=True)))
    after = dict(functions(compile(changed, path, "exec", dont_inherit=True)))
    different = {place for place, code in before.items() if place in after and after[place] != code}
    found = [
        one
        for one in gc.get_objects()
        if type(one) is FunctionType  # isinstance would ask objects for their class, and some warn
        and one.__code__.co_filename == path
        and (one.__code__.co_firstlineno, one.__code__.co_name) in different
    ]
    for function in found:
        function.__code__ = after[function.__code__.co_firstlineno, function.__code__.co_name]
    if "@compiled" in changed:
        forget_compiled()
    return bool(found)


def functions(code: CodeType) -> Iterator[tuple[tuple[int, str], CodeType]]:
    """Yield the code of functions and methods; what is inside of a function is a part of it."""
    for inside in code.co_consts:
        if isinstance(inside, CodeType):
            if inside.co_flags & 0x02:  # of its own variables: a function, not the body of a class
                yield (inside.co_firstlineno, inside.co_name), inside
            else:
                yield from functions(inside)


def forget_compiled() -> None:
    """Let every loop be compiled anew: what is on disk has been compiled from the code as it was."""
    from numba.core.caching import NullCache
    from numba.core.dispatcher import Dispatcher

    for one in gc.get_objects():
        if issubclass(type(one), Dispatcher):
            one._cache = NullCache()  # pyright: ignore[reportPrivateUsage]


def wait(child: int, limit: float) -> int:
    started = time.monotonic()
    while time.monotonic() - started < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return ENDLESS


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.path.append(sys.argv[1])  # behind all others: where coverage is
    asked, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open("mutant-tests.txt", os.O_WRONLY | os.O_CREAT), 1)  # what pytest says
    pytest.main(
        ["-q", "-p", "no:cacheprovider", "--basetemp=tests-of-mutants", *sys.argv[2:]], [Server(asked, answers)]
    )
