"""Do the tests themselves run? Every block of every file in ``tests/``, and every assert, counted in a run of all.

An assert that is never reached fails for nobody. A run of the whole suite therefore notes each block it enters: a mark
is put at the start of every suite of statements, where an ``if`` without ``else`` is not taken, behind every compound
statement, and before every assert; the share of marks that were reached must be ``LEAST``. A mark is one store into an
array of bytes. A tracer that sees every line makes the suite a third slower, because it looks at every call of every
library too (docs/testing.md).

Functions inside functions and methods stay as they are written: models and transforms among them are hashed, traced
and compiled, and must be what stands in the file.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeAlias

import pytest
from _pytest.assertion.rewrite import rewrite_asserts

FOLDER = Path(__file__).parent
LEAST = 0.99
# What runs in processes of its own, or before anything can be measured.
ELSEWHERE = {"__init__.py", "conftest.py", "compiled_cache.py", "own_blocks.py", "slow.py", "store_worker.py"}
REACHED = "__reached__"
SENT = "entered blocks of tests"


Entered: TypeAlias = dict[str, list[tuple[int, bool]]]


class Marks:
    """Which blocks there are (file and line) and which were entered."""

    def __init__(self, name: str = REACHED) -> None:
        self.name, self.places = name, list[tuple[Path, int]]()
        self.reached = bytearray(1 << 16)
        setattr(builtins, name, self.reached)  # not a global of the tests: these count for the content of functions

    def put(self, tree: ast.Module, path: Path) -> None:
        """Put marks into a module."""
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                node.body = self._suite(node.body, path, starts=True)

    def _suite(self, body: list[ast.stmt], path: Path, *, starts: bool = False) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            found, body = body[:1], body[1:]
        for node in body:
            if starts or isinstance(node, ast.Assert):
                found.append(self._mark(path, node.lineno))
            found.append(node)
            starts = self._inside(node, path)
        return found

    def _inside(self, node: ast.stmt, path: Path) -> bool:
        """Put marks into the suites of a compound statement; tell whether it is one."""
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return False
        suites: list[Any] = [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]
        is_compound = False
        for suite in suites:
            for name in ("body", "orelse", "finalbody"):
                if getattr(suite, name, None):
                    setattr(suite, name, self._suite(getattr(suite, name), path, starts=True))
                    is_compound = True
        if isinstance(node, ast.If) and not node.orelse:
            node.orelse = [self._mark(path, node.lineno)]
        return is_compound

    def _mark(self, path: Path, line: int) -> ast.stmt:
        (mark,) = ast.parse(f"{self.name}[{len(self.places)}] = 1").body
        for node in ast.walk(mark):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line  # pyright: ignore[reportAttributeAccessIssue]
        self.places.append((path, line))
        return mark

    def entered(self) -> Entered:
        """Return for each file its blocks in order: the line, and whether it was entered."""
        found: Entered = {}
        for place, (path, line) in enumerate(self.places):
            found.setdefault(str(path), []).append((line, bool(self.reached[place])))
        return found


class MarkedTests(MetaPathFinder):
    """Finds the modules of the tests and marks them on their way in."""

    def __init__(self, marks: Marks, config: pytest.Config) -> None:
        self.marks, self.config = marks, config

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("tests.") or path is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None and Path(spec.origin).name not in ELSEWHERE:
            spec.loader = _Loader(fullname, spec.origin, self)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, finder: MarkedTests) -> None:
        super().__init__(name, path)
        self.finder = finder

    def get_code(self, fullname: str) -> CodeType | None:
        path = Path(self.path)
        source = path.read_bytes()
        tree = ast.parse(source, str(path))
        self.finder.marks.put(tree, path)
        if path.name.startswith("test_"):
            rewrite_asserts(tree, source, str(path), self.finder.config)
        return compile(tree, str(path), "exec", dont_inherit=True)


def together(one: Entered, other: Entered) -> Entered:
    """Return what either of two processes entered; a file that only one has imported counts as it is there."""
    both = {
        path: [(line, here or there) for (line, here), (_, there) in zip(one[path], other[path], strict=True)]
        for path in one.keys() & other.keys()
    }
    return {**one, **other, **both}


class OwnBlocks:
    """Fails a run of all tests in which too many of their blocks were never entered; workers tell what they entered."""

    def __init__(self, config: pytest.Config) -> None:
        self.is_whole, self.is_worker = True, hasattr(config, "workerinput")
        self.leave_out: set[Path] = set()
        self.told: list[str] = []
        self.by_workers: Entered = {}
        self.marks = Marks()
        sys.meta_path.insert(0, MarkedTests(self.marks, config))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self.is_whole = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take what a worker of pytest-xdist entered; one that fell over tells nothing, and its test has failed."""
        sent = getattr(node, "workeroutput", {}).get(SENT)
        if sent is None:
            self.is_whole = False
        else:
            self.by_workers = together(self.by_workers, sent)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:  # what cannot run here, and the browser's helper
            self.leave_out |= {FOLDER.parent / report.nodeid.partition("::")[0], FOLDER / "browser.py"}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.is_worker:
            session.config.workeroutput[SENT] = self.marks.entered() if self.is_whole else None  # pyright: ignore
        elif self.is_whole and exitstatus == pytest.ExitCode.OK:
            self._judge(session)

    def _judge(self, session: pytest.Session) -> None:
        entered = together(self.marks.entered(), self.by_workers)
        blocks = [(Path(path), *block) for path, of_file in entered.items() for block in of_file]
        counted = [block for block in blocks if block[0] not in self.leave_out]
        missed = sorted({(path, line) for path, line, was_entered in counted if not was_entered})
        share = sum(was_entered for *_, was_entered in counted) / len(counted)
        self.told = [f"{share:.2%} of {len(counted):,} blocks of tests were entered, {LEAST:.0%} must be."]
        if missed:
            self.told[0] += " Never:"
            self.told += [f"{path.relative_to(FOLDER.parent)}:{line}" for path, line in missed]
        if share < LEAST:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.told:
            terminalreporter.write_line(line)


def is_whole(config: pytest.Config) -> bool:
    """Tell whether all tests are asked for."""
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.getoption("collectonly")
