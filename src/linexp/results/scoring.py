"""Score explanations: predict the neurons of a case and compare with what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linexp._internal.checks import check_choice
from linexp.explanations import simulate
from linexp.results.judge import Judge, Judgement
from linexp.results.known import measure_simulability
from linexp.results.result import Result
from linexp.results.saving import origin_of
from linexp.score import Scorer

PARTS = ("test", "val", "train")
_USED_FOR = {"val": "chosen by", "train": "fitted on"}


def check_part(part: str, *, force: bool) -> None:
    """Refuse to score on images that a result's own explanations have seen, unless somebody insists."""
    check_choice("part", part, PARTS)
    if part != "test" and not force:
        raise ValueError(
            f"The explanations of a result were {_USED_FOR[part]} its {part} images, so scores on "
            "those are too high. Score on the test images, or insist with --force."
        )


def score_case(
    case: Result, judged: Judgement, scorers: Sequence[Scorer], judge: Judge | None, part: str = "test"
) -> Result:
    """Return a case with a score by each scorer, and how well the judge knows its concepts."""
    simulated, rows, activations = simulate(case.explanations, judged.concepts), case.rows(part), case.activations
    recorded = activations.take(rows, judged.images)
    # Explanations whose layer is called otherwise are taken by force only.
    seen = replace(simulated.take(judged.scored, judged.seen), layer=activations.layer)
    origin = origin_of(case, judge, part)
    scores = [replace(scorer.score(seen, recorded, range(len(rows))), origin=origin) for scorer in scorers]
    known = measure_simulability(case, judged, "" if judge is None else judge.name)
    return replace(case, scores=tuple(scores), simulability=() if known is None else (known,))
