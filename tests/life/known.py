"""What a machine knows of a result and its world, and how it holds promises against them."""

from __future__ import annotations

import copy
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.life.older import Mark, marks
from tests.life.recorded import Recorded, Said, Values
from tests.life.world import Ended, at_home, change_picture, linexp, rename_picture

Key = tuple[str, str, str]
"""Whose explanations ("" for the result's own), who judged ("" for what explained), and the metric."""
picks = st.integers(0, 11)


class Version(NamedTuple):
    """What has become of the pictures in a folder."""

    changed: bool = False
    renamed: bool = False

    def make(self, folder: Path) -> None:
        """Do the same to the first pictures."""
        if self.changed:
            change_picture(folder)
        if self.renamed:
            rename_picture(folder)


@dataclass
class Known:
    """What must be true of a result: how it was made, and every score that lies in its folder."""

    how: int
    seed: int
    version: Version
    recorded: Recorded
    scores: dict[Key, Values] = field(default_factory=dict)
    marks: list[Mark] | None = None  # of the pictures, where an older version knew nothing else

    @property
    def said(self) -> Said:
        return self.recorded.said

    @property
    def own(self) -> Values:
        return self.recorded.scores(self.said)

    @property
    def shown(self) -> dict[Key, Values]:
        """What a page shows: its own correlation is measured where nobody scored it."""
        has_own = any(not method for method, _, metric in self.scores if metric != "impact")
        return self.scores if has_own else {("", "", "correlation"): self.own, **self.scores}


def hold(promise: str, kept: object, told: object = "") -> None:
    assert kept, f"{promise}: {told}"


def digests(folder: Path) -> dict[str, str]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


class InWorld(RuleBasedStateMachine):
    """A world of its own for every life."""

    clean: ClassVar[dict[object, Any]] = {}
    """What comes out where nothing happened before, by everything it depends on."""
    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.base / "world")
        self.home = at_home(self.base / "world")
        self.home.__enter__()
        self.results: dict[str, Known] = {}
        self.versions = {"pictures": Version()}
        self.compared: list[str] = []
        self.clock = 0

    def teardown(self) -> None:
        self.home.__exit__(None, None, None)
        shutil.rmtree(self.base)

    def one(self, pick: int) -> tuple[str, Known]:
        return sorted(self.results.items())[pick % len(self.results)]

    def folder(self, pick: int) -> str:
        """Return one of the folders of pictures; the first is the one that commands look into without being told."""
        return sorted(self.versions, reverse=True)[pick % len(self.versions)]

    def sees(self, known: Known, where: str) -> bool:
        """Say whether the pictures in a folder are those of a result, as far as it can know."""
        return self.versions[where] == known.version if known.marks is None else marks(Path(where)) == known.marks

    def refused(self, promise: str, folder: str, *arguments: object) -> Ended:
        before = digests(Path(folder))
        ended = linexp(*arguments)
        hold(promise, ended.code == 1 and ended.err.count("Error: ") == 1, (arguments, ended))
        hold("what is refused changes nothing", digests(Path(folder)) == before, arguments)
        return ended

    def done(self, *arguments: object) -> Ended:
        ended = linexp(*arguments)
        hold("it works", ended.code == 0, (arguments, ended.err))
        return ended

    def as_if_new(self, key: object, version: Version, make: Callable[[], Any]) -> Any:
        """Return what comes out in a world of its own, with no store and no history."""
        key = (key, version)
        if key not in self.clean:
            with tempfile.TemporaryDirectory() as folder:
                world = Path(shutil.copytree(self.template, Path(folder) / "world"))
                with at_home(world):
                    version.make(Path("pictures"))
                    self.clean[key] = make()
        return copy.deepcopy(self.clean[key])
