"""What commands print: each line with a number is of a kind that is known, or the test fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.life.recorded import read_table
from tests.truth.said import NUMBER as N
from tests.truth.said import Key, Said, printed, significant, unknown, with_error
from tests.truth.tables import drawn, table
from tests.truth.world import JUDGE, RESULTS, STRANGER, World

Match = re.Match[str]
_TAIL = (
    rf"(?P<mean>{N} ± {N}) \((?P<scored>\d+) neurons(?:, (?P<unscored>\d+) undefined)?, (?P<images>\d+) images"
    rf"(?:; (?P<silent>\d+) silent count as (?P<as>{N}), (?P<told>{N} ± {N}) over the (?P<n_told>\d+) explained)?\)"
)
_BOX = re.compile(r"^[┏┃┡│└].*$", re.MULTILINE)


def scored(world: World) -> Iterator[Said]:
    """Yield what score and ablate print: of each case, and the table of all."""
    for command in ("score judged", "score own", "ablate"):
        text = world.printed[command]
        name = {"score judged": "judged", "score own": "own", "ablate": "ablated"}[command]
        for number, lines in enumerate(drawn(text)):
            yield from table(name, lines, f"{command}, table {number}")
        yield from _lines(_SCORE_LINES, _BOX.sub("", text), command)


def _lines(kinds: dict[str, Callable[[Match, Key, str], Iterator[Said]]], text: str, where: str) -> Iterator[Said]:
    """Yield what each line says by its kind; what is said of a case comes before or after the file it is saved in."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        known = [(told, read) for kind, read in kinds.items() if (told := re.fullmatch(kind, line))]
        assert known or not unknown(line), f"nobody knows what this line of '{where}' means: {line!r}"
        for told, read in known:
            yield from read(told, _case(lines, number), where)


def _case(lines: list[str], number: int) -> Key:
    """Return method, judge and metric of the file of scores that is named nearest to a line."""
    saved = [place for place, line in enumerate(lines) if re.fullmatch(r"  saved in (\S+\.csv)", line)]
    starts = [place for place, line in enumerate(lines[: number + 1]) if line.startswith("layer ")]
    if not saved or not starts:
        return ()
    path = Path(lines[next(place for place in saved if place > starts[-1])].removeprefix("  saved in "))
    head = read_table(path)[0]
    return head["method"], JUDGE if "-by-" in path.stem else "", list(head)[1]


def _scores(over: str) -> Callable[[Match, Key, str], Iterator[Said]]:
    def read(told: Match, key: Key, where: str) -> Iterator[Said]:
        assert told["metric"] == key[2]
        yield from with_error((*key, over), told["mean"], where)
        yield from printed(("scored", *key, over), told["scored"], where)
        yield from printed(("test",), told["images"], where)
        if over:
            yield from printed(("dead",), told["dead"], where)
        else:
            yield from printed(("unscored", *key), told["unscored"] or "0", where)
            yield from printed(("silent", *key), told["silent"] or "0", where)
            yield from with_error((*key, "explained only"), told["told"] or "", where)
            yield from printed(("scored", *key, "explained only"), told["n_told"], where)

    return read


def _means(*names: str) -> Callable[[Match, Key, str], Iterator[Said]]:
    """Return what reads means with their errors that have a name and a column of their own."""

    def read(told: Match, key: Key, where: str) -> Iterator[Said]:
        for place, name in enumerate(names, 1):
            yield from with_error((name, *key), told[place], where)

    return read


def _constant(told: Match, key: Key, where: str) -> Iterator[Said]:
    yield from with_error(("constant", *key), told[1], where)
    mean, _, error = told[2].partition(" ± ")
    between = key[0], "a constant", *key[1:]
    yield from printed(("mean difference", *between), mean, where)
    yield from printed(("sem difference", *between), error, where)


def _norm(told: Match, key: Key, where: str) -> Iterator[Said]:
    yield from with_error((*key[:2], "ablation(norm)", ""), told[1], where)
    yield from printed(("scored", *key[:2], "ablation(norm)", ""), told[2], where)


def _unknown(told: Match, key: Key, where: str) -> Iterator[Said]:
    for name in ("unknown concepts", "judged concepts", "unknown terms", "all terms"):
        over = ("",) if name == "unknown terms" else ()
        yield from printed((name, key[0], *over), told[name.replace(" ", "_")], where)
    yield from printed(("simulable from",), told["limit"], where)


def _judged(told: Match, _: Key, where: str) -> Iterator[Said]:
    whose = STRANGER if "six" in told[2] else Path(told[2]).parent.name
    yield from printed(("judged concepts", whose), told[1], where)


def _nothing(_: Match, __: Key, ___: str) -> Iterator[Said]:
    yield from ()


_DEAD = r"dead neurons? \(activation below 0.01 on all recorded images\)"
_SCORE_LINES: dict[str, Callable[[Match, Key, str], Iterator[Said]]] = {
    rf"layer 0: test (?P<metric>\S+) {_TAIL}": _scores(""),
    rf"  without (?P<dead>\d+) {_DEAD}: (?P<metric>\S+) {_TAIL}": _scores("without dead"),
    r"  not known to the simulator: (?P<unknown_concepts>\d+) of (?P<judged_concepts>\d+) concepts \(.*\), "
    rf"(?P<unknown_terms>\d+) of (?P<all_terms>\d+) terms \(simulability below (?P<limit>{N})\)": _unknown,
    r"  simulability of (\d+) concepts saved in (\S+)": _judged,
    rf"  of which ({N} ± {N}) by a constant alone; the simulation adds \+?({N} ± {N})": _constant,
    rf"  with least-squares scaling ({N} ± {N}); \d+ of (\d+) neurons score higher than so": _norm,
    rf"  'set' is exact here; the recorded activations themselves score ({N} ± {N})(?: \(.*\))?": _means("ceiling"),
    rf"  changes by sign: simulation \+?({N} ± {N}), mean \+?({N} ± {N}); the simulation lowers the loss for .*": (
        _means("signed", "signed mean")
    ),
    r"  the model is right on .* of the test images; temperature .*": _nothing,
    r"  saved in .*|  written to .*|ablation scores: .* from the store .*": _nothing,
    r"Differences of scores, paired by neuron, with 95 % confidence intervals over neurons": _nothing,
}


def explained(world: World) -> Iterator[Said]:
    """Yield what explain prints."""
    for name in RESULTS:
        for told in _all(_EXPLAIN_LINES, world.printed[f"explain {name}"], f"explain {name}"):
            for what, number in told.groupdict().items():
                of = () if what in ("neurons", "dead", "images") else (name,)
                key = (what, *of, *([""] if what in ("terms", "val") else []))
                yield from printed(key, number, f"explain {name}")


_EXPLAIN_LINES = (
    rf"layer 0: (?P<explained>\d+) of (?P<neurons>\d+) neurons explained, (?P<terms>{N}) terms each, val correlation "
    rf"(?P<val>{N}) ± {N}, selected; (?P<empty>\d+) without a fitting concept, (?P<constant>\d+) constant on .*",
    r"  (?P<dead>\d+) of (?P<neurons>\d+) neurons dead \(.*\): activation below 0.01 on all (?P<images>\d+) images",
    r"  (?P<used>\d+) of (?P<concepts>\d+) concepts used(?:; (?P<dropped>\d+) dropped, all of them in dropped.csv)?",
    r"    (?P<dropped>\d+) constant on the training images \(melancholy\)",
    r"  \d.* s \(.* ms per neuron\), saved in .*",
    r"recorded activations: \d+ of (?P<images>\d+) images from the store .*",
    r"vocabulary: .*|Next: .*|  \(the paper's judge is .*",
)


def _all(kinds: tuple[str, ...], text: str, where: str) -> Iterator[Match]:
    for line in text.splitlines():
        told = next((found for kind in kinds if (found := re.fullmatch(kind, line))), None)
        assert told or not unknown(line), f"nobody knows what this line of '{where}' means: {line!r}"
        if told:
            yield told


def summarized(world: World) -> Iterator[Said]:
    for lines in drawn(world.printed["summarize"]):
        yield from table("summary", lines, "summarize")


def shown(world: World) -> Iterator[Said]:
    """Yield what show prints of each neuron."""
    for name in RESULTS:
        for neuron in range(6):
            where = f"show {name} {neuron}"
            terms = 0
            for told in _all(_SHOW_LINES, world.printed[where], where):
                what = told.groupdict()
                if "weight" in what:
                    for part in ("weight", "weight_error", "kept"):
                        number = what[part]
                        kept = part == "kept" and number
                        text = f"{float(number) / 100:.2f}" if kept else number
                        yield from printed((part.replace("_", " "), name, neuron, terms), text, where)
                    terms += 1
                else:
                    yield from _of_neuron(name, neuron, what, where)
            yield from printed(("n_terms", name, neuron), str(terms), where)


def _of_neuron(name: str, neuron: int, what: dict[str, str | None], where: str) -> Iterator[Said]:
    own = name, "", "correlation", neuron
    keys: dict[str, Key] = {"score": ("score", *own), "error": ("error", *own), "test": ("test",)}
    for part, text in what.items():
        if text is None or part == "image":
            continue
        if part in ("low", "high", "median"):
            yield from significant((part, neuron), text, 3, where)
        elif part == "value":
            yield from significant(("activation", neuron, what["image"]), text.strip(), 3, where)
        else:
            yield from printed(keys.get(part, (part.replace("_", " "), name, neuron)), text, where)


_SHOW_LINES = (
    rf"neuron \d+ ≈ .*? (?:[+] )?(?P<bias>{N}) +\(test correlation (?P<score>{N}) ± (?P<error>{N})"
    rf"(?:; AUROC (?P<measure>{N})(?:, p (?P<p>{N}))?)?\)",
    r"neuron \d+: no concept predicts it.*",
    rf" +(?P<weight>{N})(?: ± (?P<weight_error>{N}))? +[█▏▎▍▌▋▊▉░]+ +[^(]+"
    r"(?:\((?:unstable: )?chosen again in (?P<kept>\d+)% of redraws\))?(?: *\(.*not known to .*\))?",
    rf"layer 0, scored on (?P<test>\d+) test images[^;]*(?:; val (?P<val>{N}) ± (?P<val_error>{N}|\?), selected)?",
    rf"activation (?P<low>{N}) to (?P<high>{N}), median (?P<median>{N})",
    rf" +(?P<value>{N})  (?P<image>pictures/\S+)",
)
