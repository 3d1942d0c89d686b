"""``linexp score``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Running
from linexp.cli.judging import Judging
from linexp.cli.options import Results, TableName, flag, option

if TYPE_CHECKING:
    from linexp.results import Judge, Result
    from linexp.score import Scores


@command(app)
def score(
    results: Results,
    *,
    judging: Judging,
    metrics: str = option(
        "correlation", "LIST", "Which scores, with commas: correlation, cosine, auprc, f1, iou, spearman, auroc."
    ),
    top_share: float = option(
        0.05, "X", "On this share of the images a neuron is called active (auprc, f1, iou, auroc)."
    ),
    table: TableName = None,
    part: str = option("test", "NAME", "Which images of the split: test; val and train only with --force."),
    force: bool = flag(
        "--force",
        "Score on train or val images, explanations that were fitted on test images, or explanations whose layer "
        "is called otherwise.",
    ),
    running: Running,
    keeping: Keeping,
) -> list[Scores]:
    """Measure how true explanations are: predict the neurons on the test images and compare with what they did.

    Several results are judged by the same simulator, which looks at the images once; one table compares them.
    """
    from linexp.results import (
        check_part,
        check_unseen_cases,
        judge_parts,
        open_cases,
        score_case,
        tell_tables,
        with_methods,
    )
    from linexp.score import scorers_of

    running.check()
    kept = keeping.folder()
    scorers = scorers_of(tuple(metric.strip() for metric in metrics.split(",")), top_share)
    check_part(part, force=force)
    cases = open_cases(with_methods(results), judging.explanations, force=force)
    check_unseen_cases(cases, part, force=force)
    judge = judging.open(cases, running, kept)
    judged = zip(cases, judge_parts(cases, judge, part), strict=True)
    found = [score_case(case, seen, scorers, judge, part) for case, seen in judged]
    for case, scored in zip(cases, found, strict=True):
        _save(case, scored, judge, part)
    if len(cases) > 1 or table is not None:
        print(tell_tables(found, table))
    return [scores for scored in found for scores in scored.scores]


def _save(case: Result, scored: Result, judge: Judge | None, part: str) -> None:
    """Save the scores of a case, and print them."""
    from linexp.results import save_apart, save_simulability, tell_rows, tell_seen, tell_simulability, tell_without_dead

    without = tell_without_dead(scored) or [""] * len(scored.scores)
    for scores, line in zip(scored.scores, without, strict=True):
        path = save_apart(case, scores, judge, part)
        print(f"layer {case.activations.layer}: {part} {scores}\n  saved in {path}")
        if line:
            print(line)
    for line in (tell_rows(case), tell_seen(case, part)):
        if line:
            print(line)
    for known in scored.simulability:
        print(tell_simulability(case, known, save_simulability(case, known, judge)))
