"""What a comparison says: printed, in its tables' files, and in Python."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import linexp as le
from linexp.results import draw_table
from linexp.results.tables import as_csv
from tests.life.recorded import read_table
from tests.truth.said import NUMBER as N
from tests.truth.said import Said, exactly, printed, unknown, with_error
from tests.truth.tables import METRICS, TEXT, difference, drawn, every, markdown, turn
from tests.truth.world import ALIKE, FOLDERS, JUDGE, SIDES, World, known_as

FIRST = next(iter(ALIKE.values()))


def lines(world: World) -> Iterator[Said]:
    """Yield what the command prints."""
    where, text = "compare", world.printed["compare"]
    yield from _table([line for rows in drawn(text) for line in rows], JUDGE, SIDES, where)
    for line in re.sub(r"^[┏┃┡│└].*$", "", text, flags=re.MULTILINE).splitlines():
        told = next((found for kind in _LINES if (found := re.fullmatch(kind, line))), None)
        assert told or not unknown(line), f"nobody knows what this line of '{where}' means: {line!r}"
        yield from _line(told.groupdict() if told else {}, JUDGE, where)


_TITLE = (
    r"Layer 0: mean scores ± standard errors over (?P<neurons>\d+) neurons \((?P<dead>\d+) dead, (?P<unscored>.+)\) on "
    r"(?P<test>\d+) test images, judged by .+; differences to \S+ paired by neuron"
)
_LINES = (
    _TITLE,
    rf"(?P<method>\S+): (?P<explained>\d+) of (?P<neurons>\d+) neurons explained, (?P<terms>{N}) terms each, "
    rf"(?P<seconds>{N}) s, (?:saved|taken from before,) in \S+",
    r"recorded activations: \d+ of (?P<images>\d+) images from the store .*",
    r"ablation scores: \d+ of (?P<neurons>\d+) neurons from the store .*",
    r"  written to .*|Open it in a browser: .*",
)


def _line(told: Mapping[str, str], judge: str, where: str) -> Iterator[Said]:
    of = known_as(told.get("method", ""))
    for what, text in told.items():
        if what == "unscored":
            for number, metric in re.findall(r"(\d+) without ([^,]+)", text):
                yield from printed(("unscored", of or FIRST, judge, metric), number, where)
        elif what == "seconds":
            yield from printed((what, SIDES, of), text, where)
        elif what != "method":
            key = {"explained": (what, of), "terms": (what, of, "")}.get(what, (what,))
            yield from printed(key, text, where)


def files(_: World) -> Iterator[Said]:
    """Yield what is in the folder beside the results."""
    for name in ("table.csv", "table-differences.csv"):
        yield from _table(read_table(Path(SIDES, name)), JUDGE, SIDES, name)
    text = Path(SIDES, "table.md").read_text("utf-8")
    for number, rows in enumerate(markdown(text)):
        yield from _table(rows, JUDGE, SIDES, f"{SIDES}/table.md, table {number}")
    told = re.match(_TITLE, text)
    assert told
    yield from _line(told.groupdict(), JUDGE, f"{SIDES}/table.md, title")
    for name in (Path(folder) for folder in FOLDERS if folder.startswith(SIDES)):
        seconds = json.loads((name / "explained.json").read_text())["seconds"]
        yield from exactly(("seconds", SIDES, known_as(name.name)), seconds, f"{name}/explained.json")


def in_python(_: World) -> Iterator[Said]:
    """Yield what ``le.compare`` says of the same methods, judged by what explained."""
    run = le.read_result(f"{SIDES}/swaps")
    methods = {
        "swaps": le.LinearExplainer(search="swaps", min_gain=0.6),
        "invert": le.InvertExplainer(max_length=2),
        "best": le.BestConceptExplainer(),
    }
    found, where = le.compare(run.activations, run.concepts, run.split, methods), "le.compare"
    for ending, table in found.tables().items():
        yield from _table(list(csv.DictReader(as_csv(table).splitlines())), "", where, f"{where}, table{ending}")
        for rows in drawn(draw_table(table)):
            yield from _table(rows, "", where, f"{where}, table{ending} drawn")
    for rows in drawn(str(found)):
        yield from _table(rows, "", where, f"str({where})")
    for method, seconds in zip(found.methods, found.seconds, strict=True):
        yield from exactly(("seconds", where, known_as(method)), seconds, f"{where}.seconds")
    for method, scores in found.scores().items():
        key = known_as(method), "", "correlation"
        yield from exactly(("mean", *key, ""), scores.mean, f"{where}.scores")
        yield from exactly(("sem", *key, ""), scores.sem, f"{where}.scores")
        for neuron in scores.neurons:
            yield from exactly(("score", *key, neuron), scores.of(neuron), f"{where}.scores")
            yield from exactly(("score", *key, neuron), found.to_frame()[method][neuron], f"{where}.to_frame")
    for one in found.differences():
        between = FIRST, known_as(one.first), "", one.metric
        yield from exactly(("mean difference", *between), -one.mean, f"{where}.differences")
        yield from exactly(("sem difference", *between), one.sem, f"{where}.differences")
        yield from exactly(("from", *between), -one.high, f"{where}.differences")
        yield from exactly(("to", *between), -one.low, f"{where}.differences")
        yield from exactly(("paired", *between), one.n_neurons, f"{where}.differences")


def _table(rows: Sequence[Mapping[str, str]], judge: str, run: str, where: str) -> Iterator[Said]:
    for line in rows:
        if "difference" in line:
            yield from difference(line, judge, where)
        else:
            for column, text in line.items():
                yield from cell(column, text, line, judge, run, where)


def cell(column: str, text: str, line: Mapping[str, str], judge: str, run: str, where: str) -> Iterator[Said]:
    """Yield what a cell of the table of methods says; whatever nobody knows fails."""
    method, some = known_as(line["method"]), [name for name in METRICS if name in line]
    plain: dict[str, tuple[object, ...]] = {
        "terms": ("terms", method, ""),
        "length": ("length", method),
        "explained": ("explained", method),
        "silent": ("silent", method, judge, some[0]),
        "neurons": ("neurons",),
        "concepts": ("used", method),
        "dead": ("dead",),
        "no score": ("unscored", method, judge, every(some)),
        "n_images": ("test",),
        "seconds": ("seconds", run, method),
    }
    bare = column.removesuffix("_sem")
    metric, _, beside = bare.partition(" − ")
    if column in plain:
        yield from printed(plain[column], text, where)
    elif metric not in METRICS:
        assert column in TEXT, f"unknown column {column} in {where}"
    elif beside:
        key = known_as(beside), method, judge, metric
        mean, _, error = ("", "", text) if bare != column else text.partition(" ± ")
        yield from printed(("mean difference", *key), turn(mean), where)
        yield from printed(("sem difference", *key), error, where)
    elif bare != column:
        yield from printed(("sem", method, judge, metric, ""), text, where)
    else:
        yield from with_error((method, judge, metric, ""), text, where)
