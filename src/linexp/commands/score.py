"""``linexp score`` and ``linexp simulate``: predict neurons from their explanations, and compare with what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from linexp._internal.checks import check_choice
from linexp.explanations import simulate
from linexp.matrix import ActivationMatrix, save_activations
from linexp.results import (
    Judgement,
    Result,
    ScoreOptions,
    check_unseen_cases,
    file_name,
    judge_cases,
    judge_parts,
    measure_simulability,
    open_cases,
    origin_of,
    print_tables,
    save_apart,
    save_simulability,
    tell_seen,
    tell_simulability,
    tell_without_dead,
)
from linexp.score import Scorer, Scores, scorers_of

PARTS = ("test", "val", "train")
_USED_FOR = {"val": "chosen by", "train": "fitted on"}


def run_score(results: Sequence[Path], options: ScoreOptions) -> list[Scores]:
    """Score the explanations of results, or others, on their test images; saves and prints the scores.

    Returns the scores of the first result by each metric, then those of the second, and so on.
    """
    scorers = scorers_of(options.metrics, options.top_share)
    _check_part(options)
    cases = open_cases(results, options)
    check_unseen_cases(cases, options)
    judged = judge_parts(cases, options)
    found = [_score(case, seen, scorers, options) for case, seen in zip(cases, judged, strict=True)]
    for case, scored in zip(cases, found, strict=True):
        without = tell_without_dead(scored) or [""] * len(scored.scores)
        for scores, line in zip(scored.scores, without, strict=True):
            path = save_apart(case, scores, options)
            print(f"layer {case.activations.layer}: {options.part} {scores}\n  saved in {path}")
            if line:
                print(line)
        if seen := tell_seen(case, options.part):
            print(seen)
        for known in scored.simulability:
            print(tell_simulability(case, known, save_simulability(case, known, options)))
    if len(cases) > 1 or options.table is not None:
        print_tables(found, options.table)
    return [scores for scored in found for scores in scored.scores]


def run_simulate(result: Path, options: ScoreOptions, out: Path | None) -> ActivationMatrix:
    """Predict the activations of a result's neurons on all its images; saves them."""
    (case,) = open_cases([result], options)
    (concepts,) = judge_cases([case], options)
    simulated = simulate(case.explanations, concepts)
    path = out or result / f"{file_name('simulated', case.name, options)}.safetensors"
    save_activations(path, simulated, simulator=options.simulator or "")
    print(f"layer {simulated.layer}: {simulated.n_neurons} neurons simulated on {simulated.n_images} images")
    print(f"  saved in {path}")
    return simulated


def _check_part(options: ScoreOptions) -> None:
    check_choice("part", options.part, PARTS)
    if options.part != "test" and not options.force:
        raise ValueError(
            f"The explanations of a result were {_USED_FOR[options.part]} its {options.part} images, so scores on "
            "those are too high. Score on the test images, or insist with --force."
        )


def _score(case: Result, judged: Judgement, scorers: Sequence[Scorer], options: ScoreOptions) -> Result:
    simulated, rows = simulate(case.explanations, judged.concepts), case.rows(options.part)
    activations = case.activations
    recorded = activations.take(rows, judged.images)
    # Explanations whose layer is called otherwise are taken by force only.
    seen = replace(simulated.take(judged.scored, judged.seen), layer=activations.layer)
    origin = origin_of(case, options)
    scores = [replace(scorer.score(seen, recorded, range(len(rows))), origin=origin) for scorer in scorers]
    known = measure_simulability(case, judged, options.simulator or "")
    return replace(case, scores=tuple(scores), simulability=() if known is None else (known,))
