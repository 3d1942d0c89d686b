"""Three results of one layer, a stranger's file, two judges, an ablation and a comparison; and all that was printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.life.judging import by_judge
from tests.life.making import EXPLAIN, GROUPS, TEXT
from tests.life.world import linexp, make_world

RESULTS: Mapping[str, tuple[object, ...]] = {
    "words": TEXT,
    "few": (*GROUPS, "--search", "swaps", "--min-gain", 0.6),  # says nothing of half of the neurons
    "logic": (*GROUPS, "--method", "invert", "--set", "max_length=2"),
}
SIDES = "sides"
ALIKE = {"swaps": "few", "invert": "logic"}
"""Methods that are compared: what they say is what these results say."""
FOLDERS = {name: name for name in RESULTS} | {f"{SIDES}/{name}": ALIKE.get(name, name) for name in (*ALIKE, "best")}
"""Each folder of a result, and whose explanations are in it."""
METRICS = "correlation,f1,auprc"
STRANGER = "six.csv"
LINES = ("0,warm OR red", "1,green AND NOT (red OR blue)", "2,blue", "3,NOT black", "4,black", "5,blue OR green")
DEAD = 3  # the neuron that is below 0.01 everywhere
JUDGE = "lifemodels:judge"


@dataclass(frozen=True)
class World:
    """What commands printed, by what they were asked."""

    printed: dict[str, str]


def make(folder: Path) -> Path:
    make_world(folder)
    (folder / STRANGER).write_text("\n".join(["unit,formula", *LINES]) + "\n")
    return folder


def live() -> World:
    """Explain, judge, ablate and report in the current folder."""
    by, results = by_judge("judge"), tuple(RESULTS)
    printed = {f"explain {name}": run(*EXPLAIN, *how, "--out", name) for name, how in RESULTS.items()}
    printed["score judged"] = run("score", *results, STRANGER, *by, "--metrics", METRICS, "--table", "judged")
    printed["score own"] = run("score", *results, "--table", "own")
    printed["ablate"] = run("ablate", "words", "few", *by, "--table", "ablated")
    files = [*sorted(Path().glob("*/scores*.csv")), *(Path(name, "explanations.csv") for name in results)]
    printed["summarize"] = run("summarize", *files, "--table", "summary")
    for name in results:
        printed |= {f"show {name} {neuron}": run("show", name, neuron) for neuron in range(6)}
    run("report", *results, "--out", "page")
    chosen = ("--methods", "swaps,invert,best", "--set", "swaps.min_gain=0.6", "--set", "invert.max_length=2")
    judge = ("--simulator", JUDGE, "--simulator-calibration", "judge.json", "--metrics", METRICS, "--ablate")
    printed["compare"] = run("compare", *EXPLAIN[1:], *GROUPS, *chosen, *judge, "--out", SIDES)
    return World(printed)


def known_as(method: str) -> str:
    """Return which result says what a method says that is compared."""
    return ALIKE.get(method, method)


def run(*arguments: object) -> str:
    ended = linexp(*arguments)
    assert ended.code == 0, ended.err
    return ended.out
