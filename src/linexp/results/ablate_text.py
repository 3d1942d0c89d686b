"""Ablation scores in lines of text, with what keeps them from being taken for more than they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from linexp.ablation.score import AblationScores
from linexp.results.ablating import Ablation
from linexp.results.cases import tell_seen
from linexp.results.compare import tell_without_dead
from linexp.results.result import LABELS, Result
from linexp.score import compare_scores

_KNOWS_THE_ANSWER = (
    "  judged by labels, which know the class of each test image, the one whose loss is measured: where a simulation\n"
    "  lowers the loss by that, it counts against it as a rise does. --simulator names a judge that sees images alone"
)


def tell_ablation(of: Ablation, scored: Result, path: Path) -> str:
    """Return the lines about a case that was scored; ``path``: where the scores were saved."""
    scores = cast(AblationScores, scored.scores[0])
    lines = [f"layer {of.case.activations.layer}: test {scores}", *tell_without_dead(scored)]
    if of.scorer.scaling != "norm":
        constant, added = scores.by_constant, compare_scores(scores, scores.by_constant)
        norm = scores.by_norm
        lines += [
            f"  of which {constant.mean:.4f} ± {constant.sem:.4f} by a constant alone; "
            f"the simulation adds {added.mean:+.4f} ± {added.sem:.4f}",
            f"  with least-squares scaling {norm.mean:.4f} ± {norm.sem:.4f}; "
            f"{scores.n_improved} of {len(norm.defined)} neurons score higher than so",
        ]
    lines += [
        f"  {_tell_ceiling(scores, chosen=of.scorer.replace == 'auto')}",
        f"  {_tell_signs(scores)}",
        *([_KNOWS_THE_ANSWER] if scores.origin is not None and scores.origin.simulator == LABELS else []),
        f"  the model is right on {100 * scores.accuracy:.1f} % of the test images; "
        f"temperature {scores.temperature:.3f}",
        f"  saved in {path}",
    ]
    return "\n".join([*lines, *filter(None, [tell_seen(of.case, "test")])])


def _tell_ceiling(scores: AblationScores, *, chosen: bool) -> str:
    """Say how activations were put in, why so, and what the recorded ones score in the place of the simulated."""
    ceiling = scores.by_recorded
    if not scores.exact:
        how = "'set' overwrites the pattern over positions, so even"
    elif scores.replace == "shift":
        how = f"'shift' keeps the pattern over positions{', which more than a linear head reads' if chosen else ''};"
    else:
        how = "'set' is exact here;"
    n_still = int((ceiling.values == 0).sum()) if scores.exact else 0
    still = f" ({n_still} of them do not vary on the validation images: 0)" if n_still else ""
    return f"{how} the recorded activations themselves score {ceiling.mean:.4f} ± {ceiling.sem:.4f}{still}"


def _tell_signs(scores: AblationScores) -> str:
    """Say what is left of the changes when they are summed by sign."""
    by_simulation, by_mean = (
        replace(scores.by_constant, values=values) for values in (scores.signed, scores.signed_mean)
    )
    return (
        f"changes by sign: simulation {by_simulation.mean:+.4f} ± {by_simulation.sem:.4f}, "
        f"mean {by_mean.mean:+.4f} ± {by_mean.sem:.4f}; the simulation lowers the loss for {scores.n_lowered} of "
        f"{len(scores.defined)} neurons"
    )
