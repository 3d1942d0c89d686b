"""Which of the explanations' words the simulator knows: measured on validation images, written beside the scores."""

from __future__ import annotations

from pathlib import Path

import torch

from linexp._internal.checks import listing, printable
from linexp._internal.files import replacing
from linexp.explanations import Columns
from linexp.matrix import ConceptMatrix
from linexp.results.judge import Judge, Judgement, file_name
from linexp.results.result import Result
from linexp.score import SIMULABLE, Simulability, simulability


def measure_simulability(case: Result, judged: Judgement, simulator: str) -> Simulability | None:
    """Measure the concepts of a case that the result has, too; ``None`` if what explained also judges."""
    if judged.val is None:
        return None
    used = set(case.explanations.names)
    names = [name for name in case.concepts.names if name in used]
    rows = case.rows("val")
    if not names:
        return Simulability((), torch.zeros(0), len(rows), simulator)
    explaining, judging = (
        ConceptMatrix(Columns(matrix, names).block(places), names)
        for matrix, places in ((case.concepts, rows), (judged.concepts, judged.val))
    )
    return simulability(explaining, judging, range(len(rows)), names, simulator)


def save_simulability(case: Result, found: Simulability, judge: Judge | None) -> Path:
    """Write it into the result's folder, and return the path."""
    path = (case.folder or Path()) / f"{file_name('simulability', case, judge)}.csv"
    with replacing(path) as draft:
        found.to_csv(draft, case.explanations)
    return path


def tell_simulability(case: Result, found: Simulability, path: Path) -> str:
    """Say in a line or two what the simulator does not know."""
    n_terms = sum(len(item.terms) for item in case.explanations)
    n_used, names = len(case.explanations.names), listing(found.unknown, 5)
    lines = []
    if found.unknown:
        lines.append(
            f"  not known to the simulator: {len(found.unknown):,} of {len(found.concepts):,} concepts ({names}), "
            f"{found.count_unknown(case.explanations):,} of {n_terms:,} terms (simulability below {SIMULABLE})"
        )
    if n_used > len(found.concepts):
        lines.append(
            f"  of {n_used - len(found.concepts):,} of {n_used:,} concepts the result's explainer knows nothing, "
            "so whether the simulator does is not measured"
        )
    return "\n".join(map(printable, [*lines, f"  simulability of {len(found.concepts):,} concepts saved in {path}"]))
