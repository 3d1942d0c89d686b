"""One truth per number, on what a browser draws."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, open_browser
from tests.life.world import at_home
from tests.truth import python
from tests.truth.cards import cards
from tests.truth.page import PAGES, on
from tests.truth.said import disagreements
from tests.truth.world import World, live, make

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def browser() -> Generator[Any, None, None]:
    yield from open_browser()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World, None, None]:
    with at_home(make(tmp_path_factory.mktemp("truth") / "world")):
        yield live()


@pytest.mark.parametrize("page", PAGES)
def test_cards_say_what_python_says(browser: Any, world: World, page: Path):
    drawn = list(on(page, cards(Page(browser, page))))
    known = [*python.results(world), *python.matrices(world)]
    assert {one.key for one in drawn} <= {one.key for one in known}
    assert len(drawn) > 100
    assert not disagreements([*known, *drawn])
