"""What ``linexp ablate`` says beside its scores, so that none is taken for more than it is."""

from __future__ import annotations

from dataclasses import replace

from linexp.ablation.score import AblationScores
from linexp.results import LABELS

_KNOWS_THE_ANSWER = (
    "  judged by labels, which know the class of each test image, the one whose loss is measured: where a simulation\n"
    "  lowers the loss by that, it counts against it as a rise does. --simulator names a judge that sees images alone"
)


def tell_ceiling(scores: AblationScores, *, chosen: bool) -> str:
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


def tell_signs(scores: AblationScores) -> str:
    """Say what is left of the changes when they are summed by sign."""
    by_simulation, by_mean = (
        replace(scores.by_constant, values=values) for values in (scores.signed, scores.signed_mean)
    )
    return (
        f"changes by sign: simulation {by_simulation.mean:+.4f} ± {by_simulation.sem:.4f}, "
        f"mean {by_mean.mean:+.4f} ± {by_mean.sem:.4f}; the simulation lowers the loss for {scores.n_lowered} of "
        f"{len(scores.defined)} neurons"
    )


def tell_answer(scores: AblationScores) -> str:
    """Say, on lines of their own, that labels judge and what they know; "" if a model does."""
    by_labels = scores.origin is not None and scores.origin.simulator == LABELS
    return f"\n{_KNOWS_THE_ANSWER}" if by_labels else ""
