"""The measure of the tests themselves: it sees what never ran, fails for it, and is not asked of a part."""

from __future__ import annotations

import ast
import builtins
import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests import compiled_cache
from tests.own_blocks import FOLDER, Marks
from tests.slow import SLOW

SOURCE = '''"""A file."""
LIMIT = 3

def test(values):
    """One block."""
    for value in values:
        if value > LIMIT:
            assert value < 9
        elif value < 0:
            return "below"
    if not values:
        values = [0]
    try:
        number = int(values[0])
    except ValueError:
        return "no number"
    else:
        number += 1
    with open(__file__):
        assert number

    def inside():
        assert False

    return "done"
'''


@pytest.mark.parametrize(
    ("calls", "missed"),
    [
        ([], [6, 7, 8, 9, 9, 10, 11, 11, 12, 13, 14, 16, 18, 19, 20, 22]),
        ([[1, 5]], [10, 12, 16]),
        ([[-1]], [8, 9, 11, 11, 12, 13, 14, 16, 18, 19, 20, 22]),
        ([[1, 5], [-1], []], [16]),
    ],
)
def test_what_was_not_entered(calls: list[list[Any]], missed: list[int], monkeypatch: pytest.MonkeyPatch):
    """Line 9 has two: where ``elif`` is not taken, and what is behind the ``if``; line 23 is left as it is."""
    monkeypatch.setattr(builtins, "__here__", None, raising=False)
    marks, path, tree = Marks("__here__"), Path("x.py"), ast.parse(SOURCE)
    marks.put(tree, path)
    names: dict[str, Any] = {"__file__": __file__}
    FunctionType(compile(tree, "x.py", "exec"), names)()
    for values in calls:
        assert names["test"](values) in ("below", "done")
    (blocks,) = marks.entered().values()
    assert len(blocks) == 16
    assert sorted(line for line, was_entered in blocks if not was_entered) == missed


def project(folder: Path, test: str) -> Path:
    """A project of one test file that is measured as ours are."""
    tests = folder / "tests"
    tests.mkdir()
    shutil.copy(FOLDER / "own_blocks.py", tests)
    (tests / "__init__.py").touch()
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    (tests / "conftest.py").write_text(
        "from tests.own_blocks import OwnBlocks, is_whole\n\n"
        "def pytest_configure(config):\n"
        "    if is_whole(config):\n"
        "        config.pluginmanager.register(OwnBlocks(config))\n"
    )
    (tests / "test_it.py").write_text(test)
    return folder


NEVER = "for x in []:\n        assert x == 1"
ONCE = "for x in [1]:\n        assert x == 1"
ALL = "100.00% of 4 blocks of tests were entered, 99% must be."
NOT_ALL = "75.00% of 4 blocks of tests were entered, 99% must be. Never:"
WORKERS = ("-p", "xdist", "-n", "2")


@pytest.mark.parametrize(
    ("test", "arguments", "code", "said"),
    [
        (NEVER, (), 1, NOT_ALL),
        (ONCE, (), 0, ALL),
        (NEVER, WORKERS, 1, NOT_ALL),
        (ONCE, WORKERS, 0, ALL),
        (NEVER, ("tests/test_it.py",), 0, ""),
        (NEVER, ("tests/test_it.py", *WORKERS), 0, ""),
        (NEVER, ("-k", "test_one or test_other"), 0, ""),
        (NEVER, ("-k", "test_one or test_other", *WORKERS), 0, ""),
        ("for x in [1]:\n        assert x == 2", (), 1, "assert 1 == 2"),
    ],
)
def test_a_run_fails_for_an_assert_that_is_never_reached(
    tmp_path: Path, test: str, arguments: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
):
    """With two workers each runs some of the tests; together they enter what one process would."""
    if "xdist" in arguments:
        pytest.importorskip("xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins take longer to load than this takes
    tests = f"def test_one():\n    {test}\n\ndef test_other():\n    pass\n\ndef test_third():\n    pass\n"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project(tmp_path, tests),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == code, found.stdout + found.stderr
    assert said in found.stdout
    assert ("blocks of tests" in found.stdout) == ("blocks of tests" in said)
    assert ("Never:\ntests/test_it.py:3" in found.stdout) == said.endswith("Never:")


def test_every_test_that_is_left_out_exists():
    for file, names in SLOW.items():
        tree = ast.parse((FOLDER / f"test_{file}.py").read_text(encoding="utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {f"test_{name}" for name in names.split()} - {"test_*"} <= tests


def test_compiled_loops_are_kept_by_what_is_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled_cache, "ROOT", tmp_path)
    monkeypatch.setattr(compiled_cache, "PLACE", tmp_path / "numba")
    for name in ("solve/a.py", "solve/b.py", "_internal/compiled.py"):
        path = tmp_path / "src" / "linexp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    first = compiled_cache.cache_folder()
    (first / "kept").touch()
    assert compiled_cache.cache_folder() == first
    assert (first / "kept").exists()
    (tmp_path / "src" / "linexp" / "solve" / "a.py").write_text("changed")
    second = compiled_cache.cache_folder()
    assert second != first
    assert [path.name for path in second.parent.iterdir()] == [second.name]
