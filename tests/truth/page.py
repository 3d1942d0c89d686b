"""What the page says: every number in its data and in its tables, known by what it means."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.truth.said import NUMBER, Said, exactly, printed, significant
from tests.truth.world import SIDES, World, known_as

PAGE = Path("page/index.html")
PAGES = PAGE, Path(SIDES, "report/index.html")
Place = tuple[Any, ...]
Data = Mapping[str, Any]


def on(page: Path, said: Iterator[Said]) -> Iterator[Said]:
    """Yield what a page says, by the names that its methods have elsewhere."""
    for one in said:
        key = tuple(known_as(part) if isinstance(part, str) else part for part in one.key)
        yield one._replace(key=key, where=f"{page}, {one.where}")


def data(_: World) -> Iterator[Said]:
    for page in PAGES:
        packed = json.loads(page.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0])
        for place, value in leaves(packed):
            yield from on(page, meaning(packed, place, value))


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield everything that is no list and no table, and where it is."""
    if isinstance(value, (dict, list)):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inside, (*place, key))
    else:
        yield place, value


def meaning(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    """Yield what a number in the page's data means; whatever nobody knows fails."""
    pattern = ".".join("*" if isinstance(part, int) else part for part in place)
    assert pattern in MEANINGS or pattern in DRAWN, f"nobody knows what {pattern} is: {value!r}"
    if value is not None and pattern in MEANINGS:
        yield from MEANINGS[pattern](packed, place, value)


# Words, and what pictures and plots are drawn from, which tests/test_report.py holds against the matrices.
DRAWN = {
    *("names.*", "bare.*", "concepts.*", "layers.*.name", "layers.*.nPictures", "layers.*.nPoints"),
    *(f"layers.*.{name}" for name in ("pictures.*", "fitted.*", "counts", "shownBits", "shown", "values", "points")),
    *(f"layers.*.methods.*.{name}" for name in ("name", "probabilities", "outcomes.*", "shares", "other.*.*", "none")),
    *(f"layers.*.methods.*.{name}" for name in ("predicted", "points", "judges.*.name")),
    *(f"layers.*.methods.*.columns.*.{name}" for name in ("title", "metric", "judge", "method")),
}


def _of_layer(key: str, digits: int = 0) -> Callable[[Data, Place, Any], Iterator[Said]]:
    """Return what reads one number of a layer, or one for each neuron."""

    def read(packed: Data, place: Place, value: Any) -> Iterator[Said]:
        neuron = (packed["layers"][place[1]]["neurons"][place[3]],) if len(place) > 3 else ()
        say = significant((key, *neuron), value, digits, "data") if digits else exactly((key, *neuron), value, "data")
        yield from say

    return read


def _of_neuron(key: str, digits: int = 4) -> Callable[[Data, Place, Any], Iterator[Said]]:
    """Return what reads a number that a method has for each neuron."""

    def read(packed: Data, place: Place, value: Any) -> Iterator[Said]:
        layer = packed["layers"][place[1]]
        name, neuron = layer["methods"][place[3]]["name"], layer["neurons"][place[5]]
        yield from significant((key, name, neuron), value, digits, "data")

    return read


def _term(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    """Read a term: concept, weight, error and how often it was chosen again."""
    layer = packed["layers"][place[1]]
    name, neuron = layer["methods"][place[3]]["name"], layer["neurons"][place[5]]
    key = (None, "weight", "weight error", "kept")[place[7]]
    if key is not None:
        yield from significant((key, name, neuron, place[6]), value, 4 if key == "weight" else 3, "data")


def _measure(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    """Read what a method itself measures: its name, the value and a p-value."""
    key = (None, "measure", "p")[place[6]]
    if key is not None:
        yield from _of_neuron(key, 4 if key == "measure" else 2)(packed, place, value)


def _column(packed: Data, place: Place) -> tuple[str, str, str]:
    method = packed["layers"][place[1]]["methods"][place[3]]
    column = method["columns"][place[5]]
    return column["method"] or method["name"], column["judge"], bare(column["metric"])


def bare(metric: str) -> str:
    """Return a metric without what is said of the images it was measured on."""
    return metric.partition(" (")[0]


def _mean(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    yield from significant(("mean", *_column(packed, place), ""), value, 4, "data")


def _score(key: str, digits: int) -> Callable[[Data, Place, Any], Iterator[Said]]:
    def read(packed: Data, place: Place, value: Any) -> Iterator[Said]:
        neuron = packed["layers"][place[1]]["neurons"][place[7]]
        yield from significant((key, *_column(packed, place), neuron), value, digits, "data")

    return read


def _known(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    """Read how well a judge knows a concept: its number, and the value."""
    method = packed["layers"][place[1]]["methods"][place[3]]
    judge = method["judges"][place[5]]
    if place[8] == 1:
        concept = packed["concepts"][judge["known"][place[7]][0]]
        yield from significant(("simulability", judge["name"], method["name"], concept), value, 2, "data")


def _dead(packed: Data, place: Place, value: Any) -> Iterator[Said]:
    layer = packed["layers"][place[1]]
    yield from exactly(("is dead", layer["neurons"][value]), 1, "data")
    yield from exactly(("dead",), len(layer["dead"]), "data")


def _limit(_: Data, __: Place, value: Any) -> Iterator[Said]:
    yield from exactly(("simulable from",), value, "data")


def _neuron(packed: Data, place: Place, _: Any) -> Iterator[Said]:
    yield from exactly(("neurons",), len(packed["layers"][place[1]]["neurons"]), "data")


_METHOD = "layers.*.methods.*"
MEANINGS: dict[str, Callable[[Data, Place, Any], Iterator[Said]]] = {
    "layers.*.nImages": _of_layer("images"),
    "layers.*.nTest": _of_layer("test"),
    "layers.*.neurons.*": _neuron,
    "layers.*.dead.*": _dead,
    "layers.*.low.*": _of_layer("low", 6),
    "layers.*.high.*": _of_layer("high", 6),
    "layers.*.below.*": _of_layer("below"),
    f"{_METHOD}.terms.*.*.*": _term,
    f"{_METHOD}.bias.*": _of_neuron("bias"),
    f"{_METHOD}.val.*": _of_neuron("val"),
    f"{_METHOD}.valError.*": _of_neuron("val error", 2),
    f"{_METHOD}.measures.*": _of_neuron("measure"),
    f"{_METHOD}.measures.*.*": _measure,
    f"{_METHOD}.low.*": _of_neuron("predicted low", 6),
    f"{_METHOD}.high.*": _of_neuron("predicted high", 6),
    f"{_METHOD}.columns.*.mean": _mean,
    f"{_METHOD}.columns.*.values.*": _score("score", 4),
    f"{_METHOD}.columns.*.errors.*": _score("error", 2),
    f"{_METHOD}.judges.*.limit": _limit,
    f"{_METHOD}.judges.*.known.*.*": _known,
}
"""Every number in the page's data by where it stands; a new one is added here on purpose."""


def table(_: World) -> Iterator[Said]:
    """Yield what the tables of scores say."""
    for page in PAGES:
        yield from on(page, _table(page.read_text("utf-8")))


def _table(text: str) -> Iterator[Said]:
    found = re.search(r'<table class="scores">(.*?)</table>', text, re.DOTALL)
    assert found
    head = [_plain(cell) for cell in re.findall(r'<th scope="col".*?</th>', found[1])]
    method = ""
    for row in re.findall(r"<tr>(.*?)</tr>", found[1].partition("<tbody>")[2], re.DOTALL):
        cells = dict(zip(head, map(_plain, re.findall(r"<t[hd].*?</t[hd]>", row)), strict=True))
        method = cells["Method"]
        for heading, cell in cells.items():
            yield from _cell(method, heading, cell)


_COUNTS = {"Explained": "explained", "No concept fits": "empty", "Constant on the training images": "constant"}


def _cell(method: str, heading: str, cell: str) -> Iterator[Said]:
    where = "table"
    if heading in ("Layer", "Method"):
        return
    if heading == "Terms":
        yield from printed(("terms", method, ""), cell, where)
    elif heading == "Dead":
        yield from printed(("dead",), cell, where)
    elif heading in _COUNTS:
        yield from printed((_COUNTS[heading], method), cell, where)
    else:
        metric, _, judge = heading.partition(", judged by ")
        key = method, judge, bare(metric)
        mean = rf"({NUMBER}) ± ({NUMBER})"
        told = re.fullmatch(rf"(–)|{mean}(?:({NUMBER}) over ({NUMBER}) explained)?(?:{mean} against (.+))?", cell)
        assert told, f"nobody knows what {heading} is: {cell!r}"
        yield from printed(("mean", *key, ""), told[2], where)
        yield from printed(("sem", *key, ""), told[3], where)
        yield from printed(("mean", *key, "explained only"), told[4], where)
        yield from printed(("scored", *key, "explained only"), told[5], where)
        if told[8]:  # the other way round than tables say it, where the first stands first
            between = told[8], *key
            turned = told[6].removeprefix("−") if told[6].startswith("−") else f"−{told[6]}"
            yield from printed(("mean difference", *between), turned, where)
            yield from printed(("sem difference", *between), told[7], where)


def _plain(cell: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()


def facts(_: World) -> Iterator[Said]:
    """Yield what the pages say of how results were made."""
    for page in PAGES:
        yield from on(page, _facts(page.read_text("utf-8")))


def _facts(text: str) -> Iterator[Said]:
    method, where = "", "facts"
    sheet = text.partition('class="sheets">')[2].partition("</details>")[0]
    for title, name, fact in re.findall(r"<h3>(.*?)</h3>|<dt>(.*?)</dt><dd>(.*?)</dd>", sheet):
        method, name = title or method, html.unescape(name)
        told = re.fullmatch(FACTS.get(name, "()"), html.unescape(fact))
        if name in WORDS or title:
            continue
        assert told, f"nobody knows what {name} is: {fact!r}"
        for key, number in told.groupdict().items():
            of = () if key in ("images", "train", "val", "test", "seed") else (method,)
            yield from printed((key, *of), number, where)


# Settings are text here: tests/test_report_facts.py holds them.
WORDS = {"Model", "Layer", "Pooling", "Encoder", "Vocabulary", "Groups", "Explainer", "Made with"}
FACTS = {
    "Images": r"(?P<images>\d+) from pictures",
    "Split": r"(?P<train>\d+) to fit, (?P<val>\d+) to choose terms, (?P<test>\d+) to score",
    "Split's seed": r"(?P<seed>\d+)",
    "Concepts": r"(?:(?P<used>\d+) of )?(?P<concepts>\d+) from (?:words|the images' labels)",
    "Dropped": r"(?P<dropped>\d+) constant on the training images \(melancholy\)",
}
