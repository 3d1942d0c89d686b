"""Score the explanations of a case, and keep the scores in files whose names say whose they are, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from linexp._internal.checks import check_choice
from linexp.explanations import simulate
from linexp.results.folder import save_scores
from linexp.results.judge import Judge, Judgement, file_name
from linexp.results.known import measure_simulability
from linexp.results.result import Result
from linexp.score import Origin, Scorer, Scores, read_scores

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
    simulated, recorded = simulate(case.explanations, judged.concepts), case.activations
    # Explanations whose layer is called otherwise are taken by force only.
    simulated = replace(simulated, layer=recorded.layer)
    rows: Sequence[int] = case.rows(part).tolist()
    if recorded.regions is None:
        recorded, simulated = recorded.take(rows, judged.images), simulated.take(judged.scored, judged.seen)
        rows = range(len(rows))
    origin = origin_of(case, judge, part)
    scores = [replace(scorer.score(simulated, recorded, rows), origin=origin) for scorer in scorers]
    known = measure_simulability(case, judged, "" if judge is None else judge.name)
    return replace(case, scores=tuple(scores), simulability=() if known is None else (known,))


def origin_of(case: Result, judge: Judge | None, part: str = "test") -> Origin:
    """Say where scores of these explanations are from."""
    simulator = case.judge if judge is None else judge.name
    return Origin(case.shown, simulator, case.activations.images or "", part, case.n_seen(part))


def save_apart(case: Result, scores: Scores, judge: Judge | None, part: str = "test") -> Path:
    """Write scores into the result's folder, in the place of none but earlier ones of the same; returns the path."""
    name = file_name("scores", case, judge, part, scores.metric)
    assert case.folder is not None
    number = 1
    while (path := case.folder / f"{name}{f'-{number}' if number > 1 else ''}.csv").exists():
        if _is_of_same(path, case, scores):
            break
        number += 1
    return save_scores(case.folder, scores, path.stem)


def _is_of_same(path: Path, case: Result, scores: Scores) -> bool:
    """Say whether a file has earlier scores of the same; so it is if it does not say of what its scores are."""
    try:
        before = next(iter(read_scores(path)), None)
    except ValueError:
        return True
    if before is None or before.origin is None or scores.origin is None or not before.origin.method:
        return True
    one, other = before.origin, scores.origin
    methods = (Path(origin.method).absolute() for origin in (one, other))
    same_method = not case.name or len(set(methods)) == 1  # a result's own explanations have names of their own
    return same_method and (before.metric, one.simulator, one.part) == (scores.metric, other.simulator, other.part)
