"""One truth per number: page, commands, files and Python say the same of the same result, to the digits they print.

``SAYERS`` are all places that say numbers. Each yields what it says under a key that tells what it is of, and fails on
a number whose meaning nobody has written down; so a new column, line or field is added here on purpose. A new command
is one line in ``tests/truth/world.py`` that runs it, and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import pytest

from tests.life.world import at_home
from tests.truth import compared, page, printed, python, tables
from tests.truth.said import ROUNDING, Said, disagreements, said_once
from tests.truth.world import FOLDERS, World, live, make

Sayer = Callable[[World], Iterator[Said]]

SAYERS = (
    python.results,
    python.matrices,
    python.frames,
    tables.explanations,
    tables.scores,
    tables.unscored,
    tables.simulability,
    tables.parts,
    tables.tables,
    page.data,
    page.table,
    page.facts,
    printed.explained,
    printed.scored,
    printed.summarized,
    printed.shown,
    compared.lines,
    compared.files,
    compared.in_python,
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World, None, None]:
    with at_home(make(tmp_path_factory.mktemp("truth") / "world")):
        yield live()


@pytest.fixture(scope="module")
def said(world: World) -> list[Said]:
    return [one for sayer in SAYERS for one in sayer(world)]


def test_nobody_says_anything_else(said: list[Said]):
    found = disagreements(said)
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("sayer", SAYERS)
def test_everybody_says_something(world: World, sayer: Sayer):
    assert list(sayer(world))


def test_what_people_quote_is_said_in_several_places(said: list[Said]):
    quoted = {"mean", "sem", "score", "error", "silent", "dead", "val", "weight", "bias", "measure", "p", "terms"}
    quoted |= {"explained", "empty", "constant", "dropped", "images", "test", "mean difference"}
    alone = {key for key in said_once(said) if key[0] in quoted and (len(key) == 1 or key[1] in FOLDERS.values())}
    assert not alone


def test_python_reads_every_score_of_a_page_with_its_error(world: World):
    on_pages = {one.key for one in page.data(world) if one.key[0] in ("score", "error")}
    assert on_pages
    assert not on_pages - {one.key for one in python.results(world)}


def test_a_number_that_is_a_little_wrong_is_noticed(said: list[Said]):
    """By one in the last digit that is printed."""
    alone = said_once(said)
    rough = [place for place, one in enumerate(said) if one.half > ROUNDING and one.key not in alone]
    assert len(rough) > 500
    for place in rough[::50]:
        one = said[place]
        wrong = one._replace(value=one.value + 2.2 * one.half + 2.2 * ROUNDING * max(1.0, abs(one.value)))
        assert disagreements([*said[:place], wrong, *said[place + 1 :]]), one


def test_a_new_number_on_the_page_is_noticed(world: World):
    with pytest.raises(AssertionError, match=r"nobody knows what layers\.\*\.methods\.\*\.spread is: 0.5"):
        list(page.meaning({}, ("layers", 0, "methods", 0, "spread"), 0.5))


def test_a_new_column_is_noticed(world: World):
    with pytest.raises(AssertionError, match="unknown column median"):
        list(tables.table("judged", [{"method": "words", "median": "0.5"}], "here"))
    line = {"method": "swaps", "correlation": "0.5", "median": "0.5"}
    with pytest.raises(AssertionError, match="unknown column median"):
        list(compared.cell("median", "0.5", line, "", "here", "here"))


@pytest.mark.parametrize(
    ("command", "sayer"),
    [("score own", printed.scored), ("explain few", printed.explained), ("compare", compared.lines)],
)
def test_a_new_line_is_noticed(world: World, command: str, sayer: Sayer):
    more = replace(world, printed={**world.printed, command: f"{world.printed[command]}  median 0.5\n"})
    with pytest.raises(AssertionError, match=r"median 0\.5"):
        list(sayer(more))
