"""Run the command line inside the test's process, in the folder of the tiny world."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import pytest

from linexp import cli


class Ended(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Ended]


def command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Generator[Run, None, None]:
    """Yield a function that runs ``linexp`` with some arguments in ``folder``; a fixture yields from this."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")  # so that what the command line sets is set back

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["linexp", *map(str, arguments)])
        capfd.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return Ended(ended.value.code, *capfd.readouterr())

    yield run
    sys.modules.pop("mymodels", None)
