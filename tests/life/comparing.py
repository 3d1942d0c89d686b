"""Methods are compared in one folder: at once, killed and gone on with, with other settings, and judged anew."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.life.judging import Judging, by_judge, called
from tests.life.known import Known, digests, hold, picks
from tests.life.making import GROUPS, TEXT
from tests.life.recorded import Recorded, mean, read_table, same
from tests.life.world import NETWORK, linexp

SIDES = "sides"
"""Each method's folder in it is a result like others."""
SWAPS = ("--set", "swaps.min_gain=0.6")
COMPARED = (
    ((*GROUPS, "--methods", "swaps,best", *SWAPS), {"swaps": 100, "best": 101}),
    ((*GROUPS, "--methods", "best,swaps", *SWAPS, "--set", "best.negative=false"), {"best": 102, "swaps": 100}),
    ((*TEXT, "--methods", "best,random"), {"best": 103, "random": 104}),
)
"""What is asked for, and by which number each method with its settings is known."""
FILES = {"explanations.csv", "dropped.csv", "images.csv", "matrices.safetensors", "run.json"}


class Comparing(Judging):
    @rule(
        how=st.integers(0, len(COMPARED) - 1),
        seed=st.integers(0, 1),
        judge=st.sampled_from(["", "judge"]),
        when=st.one_of(st.just(0), st.integers(1, 24)),
    )
    def compare(self, how: int, seed: int, judge: str, when: int) -> None:
        """Compare, perhaps killed while a file takes its place; what is the same as before stays, and its scores."""
        command, methods = self._command(how, seed, judge), COMPARED[how][1]
        before, manifests = copy.copy(self.results), {name: _manifest(name) for name in methods}
        if when:
            self._kill(command, when)
        ended = self.done(*command)
        taken = set(re.findall(r"^(\w+): .* taken from before", ended.out, re.MULTILINE))
        version = self.versions["pictures"]
        for name, number in methods.items():
            folder = f"{SIDES}/{name}"
            known = before.get(folder)
            is_same = known is not None and (known.how, known.seed, known.version) == (number, seed, version)
            hold("what is finished and the same is not done again", when or (name in taken) == is_same, ended.out)
            if known is None or name not in taken or _manifest(name) != manifests[name]:
                self.results[folder] = Known(number, seed, version, Recorded(Path(folder)))
        self._is_as_if_new(how, seed, judge)
        self._is_tabled(how, judge)

    def _command(self, how: int, seed: int, judge: str) -> tuple[object, ...]:
        by = ("--simulator", called(judge), "--simulator-calibration", f"{judge}.json") if judge else ()
        return ("compare", *NETWORK, *COMPARED[how][0], *by, "--seed", seed, "--no-report", "--out", SIDES)

    def _kill(self, command: Sequence[object], when: int) -> None:
        before, writes, replace = digests(Path(SIDES)), [0], Path.replace

        def die(path: Path, target: Path) -> Path:
            writes[0] += 1
            if writes[0] == when:
                raise KeyboardInterrupt
            return replace(path, target)

        with mock.patch.object(Path, "replace", die):
            ended = linexp(*command)
        killed = writes[0] >= when
        hold("a killed command says so", ended.code == int(killed), ended)
        is_whole = Path(SIDES, "run.json").exists()
        hold("what is not whole is no comparison", is_whole != killed or digests(Path(SIDES)) == before, when)

    def _is_as_if_new(self, how: int, seed: int, judge: str) -> None:
        """Hold the folder against one made at once, in which nothing but seconds may differ."""

        def content() -> tuple[dict[str, str], list[dict[str, str]]]:
            found = {name: digests(Path(SIDES, name)) for name in COMPARED[how][1]}
            files = {f"{name}/{file}": one[file] for name, one in found.items() for file in FILES}
            lines = [*read_table(Path(SIDES, "table.csv")), *read_table(Path(SIDES, "table-differences.csv"))]
            return files, [{column: text for column, text in line.items() if column != "seconds"} for line in lines]

        def make() -> Any:
            self.done(*self._command(how, seed, judge), "--no-store")
            return content()

        expected = self.as_if_new(("compare", how, seed, judge), self.versions["pictures"], make)
        hold("the same inputs give the same bytes", content() == expected, (how, seed, judge))

    def _is_tabled(self, how: int, judge: str) -> None:
        names = list(COMPARED[how][1])
        self.compared = names
        first = None
        for name, line in zip(names, read_table(Path(SIDES, "table.csv")), strict=True):
            known = self.results[f"{SIDES}/{name}"]
            values = known.scores["", called(judge), "correlation"] = known.recorded.scores(known.said, judge)
            first = first or values
            hold("a table says what files say", same(float(line["correlation"]), mean(values)), (line, values))
            hold("dead is what is below 0.01 on all images", int(line["dead"]) == len(known.recorded.dead), line)
            if values is not first:
                told = float(line[f"correlation − {names[0]}"])
                paired = {neuron: value - first[neuron] for neuron, value in values.items()}
                hold("differences are paired by neuron", same(told, mean(paired)), (line, paired))

    def _whole(self) -> list[tuple[str, Known]]:
        """Return the methods of the comparison, with what is known of each; none if one was taken away."""
        folders = [f"{SIDES}/{name}" for name in self.compared]
        return [(name, self.results[name]) for name in folders] if set(folders) <= set(self.results) else []

    @precondition(lambda self: self._whole())
    @rule(judge=st.sampled_from(["", "judge"]), neuron=picks)
    def look_at_comparison(self, judge: str, neuron: int) -> None:
        """Score, report and show the folder of all methods; each says what the methods' folders say."""
        cases = self._whole()
        ended = self.done("show", SIDES, neuron % 6)
        hold("all methods are shown", all(Path(name).name in ended.out.splitlines() for name, _ in cases), ended.out)
        if judge and not self.sees(cases[0][1], "pictures"):
            self.refused("other pictures are refused", SIDES, "score", SIDES, *by_judge(judge))
            return
        ended = self.done("score", SIDES, *by_judge(judge), "--table", "table")
        found = [known.recorded.scores(known.said, judge) for _, known in cases]
        self.says(ended, "test", *found)
        for (_, known), values in zip(cases, found, strict=True):
            known.scores["", called(judge), "correlation"] = values
        self.done("report", SIDES, "--out", "page")
        page = Path("page/index.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
        (layer,) = json.loads(page)["layers"]
        for (name, known), method in zip(cases, layer["methods"], strict=True):
            hold("a method is called what it was called", method["name"] == Path(name).name, method["name"])
            own = {column["judge"]: column["mean"] for column in method["columns"] if column["metric"] == "correlation"}
            expected = {by: mean(v) for (who, by, what), v in known.shown.items() if (who, what) == ("", "correlation")}
            near = all(same(own[by], value, 4) for by, value in expected.items())
            hold("a page says what files say", expected.keys() <= own.keys() and near, (own, expected))

    @precondition(lambda self: self._whole())
    @rule(judge=st.sampled_from(["", "judge"]))
    def ablate_comparison(self, judge: str) -> None:
        cases = self._whole()
        command = ("ablate", SIDES, *by_judge(judge))
        if not self.sees(cases[0][1], "pictures"):
            self.refused("other pictures are refused", SIDES, *command)
            return
        files = re.findall(r"^  saved in (\S+)$", self.done(*command).out, re.MULTILINE)
        for (name, known), file in zip(cases, files, strict=True):
            hold("each method's scores are in its folder", Path(file).parent == Path(name), file)
            self.keep_ablation(known, Path(file), "", called(judge))


def _manifest(name: str) -> str:
    path = Path(SIDES, name, "run.json")
    return path.read_text() if path.exists() else ""
