"""Files of scores in a result's folder: each has a name that says whose scores they are, and by whom."""

from __future__ import annotations

from pathlib import Path

from linexp.results.folder import save_scores, slug
from linexp.results.judge import Judge
from linexp.results.result import Result
from linexp.score import Origin, Scores, read_scores


def origin_of(case: Result, judge: Judge | None, part: str = "test") -> Origin:
    """Say where scores of these explanations are from."""
    simulator = case.judge if judge is None else judge.name
    return Origin(case.shown, simulator, case.activations.images or "", part, case.n_seen(part))


def file_name(kind: str, case: Result, judge: Judge | None, part: str = "test", metric: str = "correlation") -> str:
    """Tell the files of different scores apart, so that none takes the place of another.

    What is usual is not said: the result's own explanations and concepts, the test images, correlation.
    """
    by = () if judge is None else ("by", judge.name, *judge.templates)
    on = () if part == "test" else ("on", part)
    return slug(kind, case.name, *by, *on, "" if metric == "correlation" else metric)


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
