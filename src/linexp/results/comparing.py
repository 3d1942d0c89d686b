"""A comparison in a folder: every method explained or taken from before, and all of them judged alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from linexp.explainers import Explainer, Usable, describe_explainer
from linexp.explanations import Explanations
from linexp.matrix import ConceptMatrix
from linexp.results.ablating import Ablation
from linexp.results.comparison import explain_each, named
from linexp.results.comparison_folder import forget_explained, keep_explained, take_explained
from linexp.results.explaining import explain_run
from linexp.results.judge import Judge, judge_cases, judge_parts
from linexp.results.known import save_simulability
from linexp.results.result import Result
from linexp.results.run import Run
from linexp.results.scoring import save_apart, score_case
from linexp.score import Scorer, Scores
from linexp.store import Store


class Explained(NamedTuple):
    """What one method says, the seconds it took, and whether an earlier run did it."""

    case: Result
    seconds: float
    before: bool

    def __str__(self) -> str:
        found = self.case.explanations
        counts = f"{found.n_with('explained'):,} of {len(found):,} neurons explained, {found.mean_terms:.2f} terms each"
        how = "taken from before, in" if self.before else "saved in"
        return f"{self.case.method}: {counts}, {self.seconds:.1f} s, {how} {self.case.folder}"


def explain_methods(out: Path, run: Run, explainers: Mapping[str, Explainer]) -> Iterator[Explained]:
    """Explain a layer by each method into a folder of its own, unless that holds the same already."""
    own = {
        name: replace(run, settings={**run.settings, "explainer": describe_explainer(explainer)})
        for name, explainer in explainers.items()
    }
    before: set[str] = set()
    folders: list[Path] = []

    def explain(name: str, explainer: Explainer, usable: Usable) -> tuple[Explanations, float]:
        beside = folders[0] if folders else None
        folders.append(out / name)
        taken = take_explained(out / name, own[name])
        if taken is not None:
            before.add(name)
            return taken
        forget_explained(out / name)
        found, seconds = explain_run(out / name, own[name], explainer, usable, beside=beside)
        keep_explained(out / name, seconds)
        return found, seconds

    for name, found, seconds in explain_each(explainers, run, explain):
        case = Result.of(own[name], found, method=name, folder=out / name)
        yield Explained(case, seconds, name in before)


def judge_methods(cases: Sequence[Result], judge: Judge | None, scorers: Sequence[Scorer]) -> list[Result]:
    """Return the methods of a layer with their scores, which are saved in their folders; all are judged alike."""
    judged = zip(cases, judge_parts(cases, judge), strict=True)
    scored = [named(score_case(case, seen, scorers, judge), case.method) for case, seen in judged]
    for case in scored:
        _save(case, case.scores, judge)
        for known in case.simulability:
            save_simulability(case, known, judge)
    return scored


def ablate_methods(
    cases: Sequence[Result], judge: Judge | None, ablation: Ablation, batch_size: int | None, store: Store | None
) -> list[Result]:
    """Return the methods of a layer with their ablation scores behind the others, saved in their folders."""
    found: list[Result] = []
    judged: Sequence[ConceptMatrix] = judge_cases(cases, judge)
    for case, concepts in zip(cases, judged, strict=True):
        scored = replace(ablation, case=case).score(concepts, judge, batch_size=batch_size, store=store)
        scores = named(scored, case.method).scores[:1]
        _save(case, scores, judge)
        found.append(replace(case, scores=(*case.scores, *scores)))
    return found


def _save(case: Result, scores: Sequence[Scores], judge: Judge | None) -> None:
    for one in scores:
        save_apart(case, one, judge)
