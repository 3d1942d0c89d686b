"""What the CSV files say, neuron by neuron and in tables, and the same tables as they are printed."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.life.recorded import column_of, read_table
from tests.truth.said import Key, Said, exactly, mean_and_error, printed, with_error
from tests.truth.world import DEAD, FOLDERS, JUDGE, STRANGER, World, known_as

METRICS = ("correlation", "f1@0.05", "auprc@0.05", "ablation(optim)", "ablation(norm)")
# Of ablation there is more than the score: key, where a metric has it.
MORE = {
    "_constant": "constant",
    "_val": "on val",
    "_ceiling": "ceiling",
    "_ceiling_norm": "ceiling norm",
    "_signed": "signed",
    "_signed_mean": "signed mean",
}
TEXT = {"outcome", "method", "simulator", "images", "part", "layer", "file", "replace", "fitted_on0", "image", "sha256"}
TEXT |= {"concept", "reason", "kept_by", "first", "second", "metric"}
LONE = {"c", "d", "level", "activity", "min_activity", "row"}
"""What only a file says."""


def explanations(_: World) -> Iterator[Said]:
    for folder, name in FOLDERS.items():
        path = Path(folder, "explanations.csv")
        lines = read_table(path)
        yield from _means(name, lines, str(path))
        for line in lines:
            for column, text in line.items():
                yield from _of_neuron(name, int(line["neuron"]), column, text, str(path))


def _means(name: str, lines: Sequence[Mapping[str, str]], where: str) -> Iterator[Said]:
    """Yield how many terms an explained neuron has, how many words, which are small here, and the val correlation."""
    explained = [line for line in lines if line["outcome"] == "explained"]
    alive = [line for line in explained if line["neuron"] != str(DEAD)]
    for over, some in (("", explained), ("without dead", alive)):
        lengths = [int(line["n_terms"]) for line in some]
        yield from exactly(("terms", name, over), sum(lengths) / len(lengths), where)
    told = [text for line in explained for column, text in line.items() if column.startswith("concept")]
    yield from exactly(("length", name), len(re.findall("[a-z]+", " ".join(told))) / len(explained), where)
    val = [float(line["val_correlation"]) for line in lines if line["val_correlation"]]
    yield from exactly(("val", name, ""), sum(val) / len(val), where)


def _of_neuron(name: str, neuron: int, column: str, text: str, where: str) -> Iterator[Said]:
    bare, place = re.fullmatch(r"(.*?)(\d*)", column).groups()  # pyright: ignore[reportOptionalMemberAccess]
    plain = {"n_terms": "n_terms", "val_correlation": "val", "val_error": "val error", "bias": "bias"}
    plain |= {"measure_value": "measure", "measure_p": "p"}
    terms = {"weight": "weight", "error": "weight error", "again": "kept"}
    if column in plain:
        yield from exactly((plain[column], name, neuron), float(text) if text else None, where)
    elif bare in terms:
        yield from exactly((terms[bare], name, neuron, int(place)), float(text) if text else None, where)
    else:
        assert column in TEXT | {"neuron", "measure"} or bare in ("concept", "kind"), f"unknown column {column}"


def scores(_: World) -> Iterator[Said]:
    """Yield the scores in every file, and what their means are."""
    for path in [path for folder in FOLDERS for path in sorted(Path(folder).glob("scores*.csv"))]:
        lines = read_table(path)
        metric, where = list(lines[0])[1], str(path)
        judge = JUDGE if "-by-" in path.stem else ""
        key = known_as(lines[0]["method"]), judge, metric
        columns = {f"{metric}_norm": (*key[:2], "ablation(norm)"), metric: key}
        more = {f"{metric}{ending}": (said, *key) for ending, said in MORE.items()}
        known = {"neuron", f"{metric}_error", "silent", "n_seen", "n_images", *columns, *more}
        assert set(lines[0]) <= known | TEXT | LONE, f"unknown column in {path}"
        for column in (name for name in {**columns, **more} if name in lines[0]):
            values = column_of(lines, column)
            alive = {neuron: value for neuron, value in values.items() if neuron != DEAD}
            silent = {int(line["neuron"]) for line in lines if line["silent"] == "1"}
            told = [value for neuron, value in values.items() if neuron not in silent]
            if column in more:
                yield from mean_and_error(more[column], values.values(), where)
                continue
            yield from mean_and_error((*columns[column], ""), values.values(), where)
            yield from mean_and_error((*columns[column], "without dead"), alive.values(), where)
            yield from mean_and_error((*columns[column], "explained only"), told, where)
            yield from exactly(("silent", *columns[column]), len(silent & set(values)), where)
            for neuron, value in values.items():
                yield from exactly(("score", *columns[column], neuron), value, where)
        for neuron, value in column_of(lines, f"{metric}_error").items():
            yield from exactly(("error", *key, neuron), value, where)
        for line in lines:
            yield from printed(("test",), line["n_images"], where)
            yield from printed(("seen", key[0]), line["n_seen"], where)


def unscored(_: World) -> Iterator[Said]:
    """Yield how many neurons have no score by at least one of some metrics."""
    for folder in FOLDERS:
        missing: dict[Key, dict[str, set[int]]] = defaultdict(dict)
        silent: dict[Key, set[int]] = {}
        for path in sorted(Path(folder).glob("scores*.csv")):
            lines = read_table(path)
            metric, who = list(lines[0])[1], (known_as(lines[0]["method"]), JUDGE if "-by-" in path.stem else "")
            for column, name in ((metric, metric), (f"{metric}_norm", "ablation(norm)")):
                if column in lines[0]:
                    missing[who][name] = {int(line["neuron"]) for line in lines if not line[column]}
                    silent[*who, name] = {int(line["neuron"]) for line in lines if line["silent"] == "1"}
        for who, sets in missing.items():
            for some in (some for size in range(len(sets)) for some in itertools.combinations(sets, size + 1)):
                found, key = set[int]().union(*map(sets.__getitem__, some)), ("unscored", *who, every(some))
                yield from exactly(key, len(found), folder)
                yield from exactly((*key, "without dead"), len(found - {DEAD}), folder)
                yield from exactly((*key, "explained only"), len(found - silent[*who, some[0]]), folder)


def every(metrics: Iterable[str]) -> str:
    """Return what metrics are called together."""
    return ", ".join(sorted(metrics))


def simulability(_: World) -> Iterator[Said]:
    for path in [path for folder in FOLDERS for path in sorted(Path(folder).glob("simulability*.csv"))]:
        whose = STRANGER if "six" in path.stem else FOLDERS[path.parent.as_posix()]
        lines = read_table(path)
        assert set(lines[0]) == {"concept", "simulability", "in_terms", "simulator", "n_images"}
        yield from exactly(("judged concepts", whose), len(lines), str(path))
        low = [line for line in lines if not line["simulability"] or float(line["simulability"]) < 0.1]
        yield from exactly(("unknown concepts", whose), len(low), str(path))
        for line in lines:
            text = line["simulability"]
            key = ("simulability", line["simulator"], whose, line["concept"])
            yield from exactly(key, float(text) if text else None, str(path))
            yield from printed(("in terms", whose, line["concept"]), line["in_terms"], str(path))
            yield from printed(("val",), line["n_images"], str(path))


def parts(_: World) -> Iterator[Said]:
    for folder, name in FOLDERS.items():
        lines, dropped = read_table(Path(folder, "images.csv")), Path(folder, "dropped.csv")
        yield from exactly(("images",), len(lines), f"{folder}/images.csv")
        for part in ("train", "val", "test"):
            yield from exactly((part,), sum(line["part"] == part for line in lines), f"{folder}/images.csv")
        yield from exactly(("dropped", name), len(read_table(dropped)), str(dropped))


def tables(_: World) -> Iterator[Said]:
    """Yield what ``--table`` wrote, as CSV and as Markdown."""
    for name in ("judged", "own", "ablated", "summary"):
        for path in sorted(Path().glob(f"{name}*.csv")):
            yield from table(name, read_table(path), str(path))
        for number, lines in enumerate(markdown(Path(f"{name}.md").read_text("utf-8"))):
            yield from table(name, lines, f"{name}.md, table {number}")


def markdown(text: str) -> Iterator[list[dict[str, str]]]:
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.splitlines()]
        yield [dict(zip(head, row, strict=True)) for row in rows]


def table(name: str, lines: Sequence[Mapping[str, str]], where: str) -> Iterator[Said]:
    """Yield the numbers of a table, whose cells may be of all digits or of a few."""
    judge = "" if name == "own" else JUDGE
    for line in lines:
        if "difference" in line:
            yield from difference(line, judge, where)
            continue
        method, _, over = line["method"].partition(", ")
        by = judge if "simulator" not in line or line["simulator"] == JUDGE else ""
        first = next((column for column in line if column in METRICS and line[column] not in ("", "–")), METRICS[0])
        for column, text in line.items():
            yield from _cell(column, text, line, (method, by), over, first, where)


def _cell(
    column: str, text: str, line: Mapping[str, str], who: tuple[str, str], over: str, first: str, where: str
) -> Iterator[Said]:
    method, judge = who
    metric = column.removesuffix("_sem")
    plain: dict[str, Key] = {
        "terms": ("terms", method, over),
        "val, selected": ("val", method, over),
        "dead": ("dead", method, over),
        "fitted on": ("seen", method),
        "unknown terms": ("unknown terms", method, over),
        "n_images": ("test",),
    }
    if metric in METRICS and metric != column:
        yield from printed(("sem", method, judge, metric, over), text, where)
    elif metric in METRICS:
        yield from with_error((method, judge, metric, over), text, where)
    elif column == "neurons":
        kind = ("neurons",) if not over else ("neurons", first.partition("(")[0], method, over)
        yield from printed(kind, text, where)
    elif column == "silent":
        yield from printed(("silent", method, judge, first) if not over else ("silent", first, *who, over), text, where)
    elif column == "no score":
        some = [name for name in METRICS if line.get(name) not in (None, "", "–")]
        key = "unscored", method, judge, every(some)
        yield from printed(key if not over else (*key, over), text if line.get("part", "test") else "", where)
    elif column in plain:
        yield from printed(plain[column], text, where)
    else:
        assert column in TEXT, f"unknown column {column} in {where}"


def difference(line: Mapping[str, str], judge: str, where: str) -> Iterator[Said]:
    """Yield the numbers of a line of differences, of two methods in one order whoever says it."""
    first, second = known_as(line["first"]), known_as(line["second"])
    turned = (first, second) != tuple(sorted((first, second), key=_place))
    between = *((second, first) if turned else (first, second)), judge, line["metric"]
    mean, _, error = line["difference"].partition(" ± ")
    yield from printed(("mean difference", *between), turn(mean) if turned else mean, where)
    yield from printed(("sem difference", *between), error or line.get("difference_sem", ""), where)
    for name, end in zip(("from", "to"), ("to", "from") if turned else ("from", "to"), strict=True):
        yield from printed((end, *between), turn(line[name]) if turned else line[name], where)
    yield from printed(("paired", *between), line["neurons"], where)
    known = {"difference", "difference_sem", "from", "to", "neurons"}
    assert set(line) <= known | TEXT, f"unknown column in {where}"


def _place(method: str) -> int:
    order = list(dict.fromkeys(FOLDERS.values()))
    return order.index(method) if method in order else len(order)


def turn(number: str) -> str:
    """Return a difference the other way round."""
    signs = ("−", "-")
    return number[1:] if number.startswith(signs) else f"-{number.removeprefix('+')}" if number not in ("", "–") else ""


def drawn(text: str) -> Iterator[list[dict[str, str]]]:
    """Yield the tables that were drawn in a text."""
    for block in re.findall(r"(?:^[┏┃┡│└].*\n)+", text, re.MULTILINE):
        head, *rows = [
            [cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in block.splitlines() if line[0] in "┃│"
        ]
        yield [dict(zip(head, row, strict=True)) for row in rows]
