"""What is looked at: show, simulate, summarize, the page, and Python; all say what the files say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from safetensors.numpy import load_file

import linexp as le
from tests.life.comparing import Comparing
from tests.life.known import Known, hold, picks
from tests.life.making import Making
from tests.life.recorded import all_same, mean, read_table, same

WHOSE = "each score is shown under whose it is"


class Life(Making, Comparing):
    @invariant()
    def own_scores_never_change(self) -> None:
        """Python reads from every folder what was scored in it, and nothing else."""
        for name, known in self.results.items():
            result = le.read_result(name)
            self.is_shown(known, [(column.title, column.mean) for column in result.columns], 5)
            for column in (one for one in result.columns if not one.method):
                expected = known.shown["", column.judge, column.metric.partition(" (")[0]]
                hold("an own score never changes", all_same(column.values, expected), (column, expected))

    @precondition(lambda self: self.results)
    @rule(pick=picks, seed=st.integers(0, 1), where=picks, asked=st.booleans())
    def report(self, pick: int, seed: int, where: int, asked: bool) -> None:
        name, known = self.one(pick)
        folder = self.folder(where) if asked else "pictures"
        command = ("report", name, "--out", "page", "--seed", seed, *(("--images", folder) if asked else ()))
        sees = self.sees(known, folder)
        if asked and not sees:
            self.refused("other pictures are refused", name, *command)
            return
        ended = self.done(*command)
        hold("a page without pictures says so", ("has no pictures" in ended.err) != sees, ended.err)
        self.is_on_page(known, Path("page/index.html").read_text("utf-8"))

    def is_on_page(self, known: Known, page: str) -> None:
        data: dict[str, Any] = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
        (layer,) = data["layers"]
        (method,) = layer["methods"]
        self.is_shown(known, [(column["title"], column["mean"]) for column in method["columns"]], 4)
        dead = {layer["neurons"][place] for place in layer["dead"]}
        hold("dead is what is below 0.01 on all images", dead == known.recorded.dead, dead)
        for neuron, packed in zip(layer["neurons"], method["terms"], strict=True):
            told, terms = known.said[neuron], [(term[1], data["concepts"][term[0]]) for term in packed]
            texts = [{text, f"({text})"} for _, text in told]  # a page groups a formula within a sum
            named = all(text in either for (_, text), either in zip(terms, texts, strict=True))
            hold("the page has the terms of the file", named, (told, terms))
            near = all(math.isclose(w, x, rel_tol=1e-3) for (w, _), (x, _) in zip(told, terms, strict=True))
            hold("the page has the terms of the file", near, (told, terms))

    def is_shown(self, known: Known, found: Sequence[tuple[str, float]], digits: int) -> None:
        """Hold titles and means against everything that was scored on test images, and nothing else."""
        expected = sorted((bool(who), *what, mean(values)) for (who, *what), values in known.shown.items())
        told: list[tuple[Any, ...]] = []
        for title, value in found:
            parts = re.fullmatch(r"(.+?)( \(.+?\))?(?:, judged by (\S+?))?(, of .+)?", title)
            assert parts is not None
            told.append((bool(parts[4]), parts[3] or "", parts[1], value))
        told.sort()
        hold(WHOSE, [one[:3] for one in told] == [one[:3] for one in expected], (told, expected))
        near = all(same(one[3], other[3], digits) for one, other in zip(told, expected, strict=True))
        hold(WHOSE, near, (told, expected))

    @precondition(lambda self: self.results)
    @rule(pick=picks)
    def simulate(self, pick: int) -> None:
        name, known = self.one(pick)
        self.done("simulate", name, "--out", "simulated.safetensors")
        found = load_file("simulated.safetensors")["activations"].astype(np.float64)
        for column, told in zip(found.T, known.recorded.simulated(known.said).values(), strict=True):
            hold("a simulation is the weighted sum", np.allclose(column - column[0], told - told[0], atol=1e-5), name)

    @precondition(lambda self: self.results)
    @rule(pick=picks, neuron=st.integers(0, 5))
    def show(self, pick: int, neuron: int) -> None:
        name, known = self.one(pick)
        shown = re.search(r"test correlation (−?[\d.]+)", self.done("show", name, neuron).out)
        near = shown and same(float(shown[1].replace("−", "-")), known.own[neuron], 2)
        hold("show says the own test score", not known.said[neuron] or near, (shown, known.own))

    @precondition(lambda self: self.results)
    @rule(pick=picks)
    def summarize(self, pick: int) -> None:
        name, known = self.one(pick)
        files = [file for file in ("scores.csv", "scores-by-lifemodels-judge.csv") if (Path(name) / file).exists()]
        if not files:
            return
        ended = self.done("summarize", *(f"{name}/{file}" for file in files), "odd.csv", "--table", "summary")
        hold("a file that is no scores does not stop the others", "Left out: odd.csv" in ended.out, ended)
        lines = [line for line in read_table(Path("summary.csv")) if "," not in line["method"]]
        for file, line in zip(files, lines, strict=True):
            expected = known.scores["", "lifemodels:judge" if "judge" in file else "", "correlation"]
            hold(
                "a summary says what the file says", same(float(line["correlation"]), mean(expected)), (line, expected)
            )
