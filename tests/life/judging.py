"""Own and foreign explanations are judged: by several judges, on parts of the split, by the network's loss."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.life.known import InWorld, Known, hold, picks
from tests.life.recorded import Said, Values, all_same, column_of, mean, read_table, said_in, same, words_of
from tests.life.world import FOREIGN, NETWORK, Ended

judges = st.sampled_from(["", "see", "judge"])
SEEN = "what has seen the test images is not scored on them"


def by_judge(judge: str) -> tuple[str, ...]:
    return ("--simulator", f"lifemodels:{judge}", "--calibration", f"{judge}.json") if judge else ()


def called(judge: str) -> str:
    """Return what a page calls a judge: nothing if it is what explained."""
    return f"lifemodels:{judge}" if judge else ""


def with_pictures(folder: str) -> tuple[str, ...]:
    return () if folder == "pictures" else ("--images", folder)


def images_of(result: str | Path) -> str:
    return json.loads(Path(result, "run.json").read_text())["images"]


class Judging(InWorld):
    @precondition(lambda self: self.results)
    @rule(pick=picks, judge=judges, where=picks)
    def score(self, pick: int, judge: str, where: int) -> None:
        name, known = self.one(pick)
        self.judge(name, known, [], judge, self.folder(where))

    @precondition(lambda self: self.results)
    @rule(pick=picks, part=st.sampled_from(["val", "train"]), judge=judges)
    def score_on_seen_images(self, pick: int, part: str, judge: str) -> None:
        name, known = self.one(pick)
        by = by_judge(judge)
        self.refused("images that were fitted on are no test", name, "score", name, *by, "--part", part)
        if self.may_judge(known, known.said, judge, "pictures"):
            ended = self.done("score", name, *by, "--part", part, "--force")
            self.says(ended, part, known.recorded.scores(known.said, judge, part))

    @precondition(lambda self: self.results)
    @rule(pick=picks, other=picks, detour=st.sampled_from(["", "copy", "option"]), judge=judges, where=picks)
    def score_others(self, pick: int, other: int, detour: str, judge: str, where: int) -> None:
        """Score somebody else's explanations: of another result, with or without a detour, or of nobody knows whom."""
        name, known = self.one(pick)
        sources = [*FOREIGN, *(f"{one}/explanations.csv" for one in sorted(self.results))]
        source = sources[other % len(sources)]
        if detour == "copy":
            source = shutil.copy(source, f"copied{Path(source).suffix}")
        self.judge(
            name, known, ["--explanations", source] if detour == "option" else [source], judge, self.folder(where)
        )

    def may_judge(self, known: Known, said: Said, judge: str, where: str) -> bool:
        """Say whether a judge knows what is said and sees the pictures; what explained knows its own words."""
        if judge:
            return self.sees(known, where) and bool(words_of(said))
        return words_of(said) <= set(known.recorded.manifest["concepts"])

    def judge(self, name: str, known: Known, others: list[str], judge: str, where: str) -> None:
        command = (
            "score",
            name,
            *others,
            *by_judge(judge),
            *(with_pictures(where) if judge else ()),
            "--table",
            "table",
        )
        source = others[-1] if others else ""
        said = said_in(Path(source)) if source else known.said
        seen = self.n_seen(name, known, source) if source else 0
        cases = [known.said] if not others else [said] if "--explanations" in others else [known.said, said]
        names = [""] if not others else [source] if "--explanations" in others else ["", source]
        if seen:
            self.refused(SEEN, name, *command)
            return
        if not all(self.may_judge(known, case, judge, where) for case in cases):
            self.refused("other pictures, and words nobody knows, are refused", name, *command)
            return
        ended = self.done(*command)
        found = [known.recorded.scores(case, judge) for case in cases]
        self.says(ended, "test", *found)
        hold("a judge that also explained is said to be one", judge or "is judged by" in ended.err, ended.err)
        hold("it is said where nobody knows what was seen", not source or seen == 0 or "not known" in ended.err, ended)
        for method, values in zip(names, found, strict=True):
            known.scores[method, called(judge), "correlation"] = values
        self.is_tabled(known, cases, found)

    def is_tabled(self, known: Known, cases: Sequence[Said], found: Sequence[Values]) -> None:
        shared = set.intersection(*(set(case) for case in cases))
        lines = [line for line in read_table(Path("table.csv")) if "," not in line["method"]]
        for line, values in zip(lines, found, strict=True):
            both = {neuron: value for neuron, value in values.items() if neuron in shared}
            hold("the mean counts silent neurons as 0", same(float(line["correlation"]), mean(both)), (line, both))
            hold(
                "dead is what is below 0.01 on all images", int(line["dead"]) == len(known.recorded.dead & shared), line
            )

    def n_seen(self, name: str, known: Known, source: str) -> int | None:
        """Count the test images of a result that explanations in a file are known to have seen; ``None``: not known."""
        where = Path(source)
        if where.suffix == ".csv" and "fitted_on0" in (line := read_table(where)[0]):
            images = line["fitted_on0"].partition(":")[0]
        elif where.name == "explanations.csv":
            images = images_of(where.parent)
        else:
            return None
        if images != images_of(name):
            return None
        fitted = next(one.recorded for one in self.results.values() if said_in(where) == one.said)
        return len(set(known.recorded.parts["test"]).difference(fitted.parts["test"]))

    def says(self, ended: Ended, part: str, *expected: Values) -> None:
        """Hold what was printed and what was written against the numbers of each case."""
        printed = re.findall(rf"^layer 0: {part} correlation (-?[\d.]+)", ended.out, re.MULTILINE)
        files = re.findall(r"^  saved in (\S+)$", ended.out, re.MULTILINE)
        hold("each case is told", len(printed) == len(files) == len(expected), ended.out)
        for number, file, values in zip(printed, files, expected, strict=True):
            hold("the mean counts silent neurons as 0", same(float(number), mean(values), 4), (ended.out, values))
            found = column_of(read_table(Path(file)), "correlation")
            hold("a file has the score of every neuron", all_same(found, values), (found, values))

    @precondition(lambda self: self.results)
    @rule(pick=picks, other=picks, judge=judges)
    def score_together(self, pick: int, other: int, judge: str) -> None:
        """Two results under one judge: each on its own test images, with differences only where these are the same."""
        (name, known), (second, beside) = self.one(pick), self.one(other)
        if name == second or not all(self.may_judge(one, one.said, judge, "pictures") for one in (known, beside)):
            return
        Path("table-differences.csv").unlink(missing_ok=True)
        ended = self.done("score", name, second, *by_judge(judge), "--table", "table")
        found = [one.recorded.scores(one.said, judge) for one in (known, beside)]
        self.says(ended, "test", *found)
        for one, values in zip((known, beside), found, strict=True):
            one.scores["", called(judge), "correlation"] = values
        same_images = images_of(name) == images_of(second)
        same_rows = known.recorded.parts["test"] == beside.recorded.parts["test"]
        compared, told = Path("table-differences.csv").exists(), "No differences between" in ended.out
        same_judge = judge or len({one.recorded.manifest["settings"]["concepts"] for one in (known, beside)}) == 1
        is_fair = same_images and same_rows and bool(same_judge)
        hold("methods are compared on the same images by the same judge only", compared == is_fair, ended.out)
        hold("it is said why methods are not compared", told == (same_images and not same_rows), ended.out)

    @precondition(lambda self: self.results)
    @rule(pick=picks, others=st.booleans(), where=picks)
    def ablate(self, pick: int, others: bool, where: int) -> None:
        name, known = self.one(pick)
        folder = self.folder(where)
        command = ("ablate", name, *(["theirs.json"] if others else []), *with_pictures(folder))
        if not self.sees(known, folder) or (
            others and not self.may_judge(known, said_in(Path("theirs.json")), "", folder)
        ):
            self.refused("other pictures are refused", name, *command)
            return
        ended = self.done(*command)
        files = re.findall(r"^  saved in (\S+)$", ended.out, re.MULTILINE)
        for method, file in zip(["", "theirs.json"], files, strict=False):
            self.keep_ablation(known, Path(file), method, "")

    def keep_ablation(self, known: Known, file: Path, method: str, by: str) -> None:
        lines = read_table(file)
        for metric, column in (("ablation(optim)", "ablation(optim)"), ("ablation(norm)", "ablation(optim)_norm")):
            values = known.scores[method, by, metric] = column_of(lines, column)
            key = ("ablate", method, by, metric, known.version, known.how, known.seed)
            hold("the same inputs give the same numbers", self.clean.setdefault(key, values) == values, key)

    @precondition(lambda self: self.results)
    @rule(pick=picks)
    def impact(self, pick: int) -> None:
        """Measure impact beside a result, whose pages show it as soon as it lies there."""
        name, known = self.one(pick)
        if not self.sees(known, "pictures"):
            return

        def make() -> str:
            self.done("impact", *NETWORK, "--out", "impact")
            return Path("impact/neurons.csv").read_text()

        found = make()
        hold("the same inputs give the same bytes", found == self.as_if_new("impact", known.version, make), found)
        totals = column_of(read_table(Path("impact/neurons.csv")), "total")
        lines = ["neuron,impact", *(f"{neuron},{value}" for neuron, value in totals.items())]
        Path(name, "impact.csv").write_text("\n".join(lines) + "\n")
        known.scores["", "", "impact"] = totals

    @precondition(lambda self: len(self.results) > 1)
    @rule(pick=picks, other=picks)
    def swap_explanations(self, pick: int, other: int) -> None:
        """Put another result's explanations into a folder: by this detour they are not accepted either."""
        (name, known), (source, _) = self.one(pick), self.one(other)
        theirs = f"{source}/explanations.csv"
        if not self.n_seen(name, known, theirs) or "fitted_on0" not in read_table(Path(theirs))[0]:
            return
        shutil.copy(f"{name}/explanations.csv", "kept.csv")
        shutil.copy(theirs, f"{name}/explanations.csv")
        for command in (("score", name), ("ablate", name), ("report", name, "--out", "page")):
            self.refused(SEEN, name, *command)
        shutil.copy("kept.csv", f"{name}/explanations.csv")
