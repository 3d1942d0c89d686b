"""One neuron of a result, described in lines of text."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from linexp._internal.checks import listing, printable
from linexp.explanations import Concept, Explanation, Quality, Term, format_number, names_in, show_selected, simulate
from linexp.results.folder import load_explanations, load_run
from linexp.score import CorrelationScorer, Origin, Simulability, count_seen, read_simulability

# Images shown at each end of a neuron's range.
_SHOWN = 5
# Characters that the bar of the largest weight takes.
_BAR = 20


def tell_neuron(folder: Path, neuron: int) -> str:
    """Describe one neuron of a result: explanation, scores, range, and the images at the two ends of it."""
    run = load_run(folder)
    explanations = load_explanations(folder)
    if neuron not in explanations:
        raise ValueError(
            f"Neuron {neuron} is not in this result. Its {len(explanations)} neurons are "
            f"{listing(explanations.neurons, 6)}."
        )
    chosen = explanations.only([neuron])
    scores = CorrelationScorer().score(simulate(chosen, run.concepts), run.activations, run.split.test)
    scores = replace(scores, origin=Origin(part="test"))
    values = run.activations.select([neuron]).values[:, 0]
    judges = [read_simulability(path) for path in sorted(folder.glob("simulability-by-*.csv"))]
    seen = count_seen(chosen, run.activations, run.split.test)
    lines = [printable(line) for line in (str(chosen.with_scores(scores)), *_terms(chosen[neuron], judges))]
    silent = ", where it predicts the same everywhere" if scores.n_silent else ""
    on = f"{scores.n_images} test {run.rows_are}{silent}{_selected(chosen[neuron])}"
    lines += [f"layer {explanations.layer}, scored on {on}"]
    if seen:
        lines += [f"  which is too high: the explanation was fitted or chosen on {seen} of them"]
    lines += [f"activation {values.min():.3g} to {values.max():.3g}, median {values.median():.3g}"]
    for title, descending in (("highest", True), ("lowest", False)):
        rows = values.argsort(descending=descending, stable=True).tolist()[:_SHOWN]
        lines += [f"{title} on", *(f"  {values[row]:10.3g}  {printable(run.row_name(row))}" for row in rows)]
    return "\n".join(lines)


def _terms(explanation: Explanation, judges: Sequence[Simulability]) -> list[str]:
    """Draw each term as a bar, with its weight's error, how often it was chosen again, and which judges know it not."""
    most = max((abs(term.weight) for term in explanation.terms), default=0.0)
    errors = ["" if term.error is None else f" ± {format_number(term.error)}" for term in explanation.terms]
    wide = max(map(len, errors), default=0)
    return [
        f"  {format_number(term.weight):>8}{error:<{wide}}  {_bar(term.weight, most)}  {term.concept}"
        + ("" if term.kept is None else f"  ({_again(term)})")
        + (f"  (also: {', '.join(term.synonyms)})" if term.synonyms else "")
        + "".join(_unknown(term.concept, judge) for judge in judges)
        for term, error in zip(explanation.terms, errors, strict=True)
    ]


def _again(term: Term) -> str:
    return f"{'unstable: ' if term.is_unstable else ''}chosen again in {term.kept:.0%} of redraws"


def _unknown(concept: Concept, judge: Simulability) -> str:
    told = ""
    for name in (name for name in names_in(concept) if name in judge.unknown):
        value = judge.of(name)
        how = "undefined" if value is None or math.isnan(value) else format_number(value)
        told += f"  ({'' if name == concept else f'{name} is '}not known to {judge.simulator}: simulability {how})"
    return told


def _bar(weight: float, most: float) -> str:
    """Draw a weight as a bar in eighths of a character, a negative one in grey; ``most`` has the whole width."""
    eighths = max(1, round(8 * _BAR * abs(weight) / (most or 1.0)))
    bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    if weight < 0:
        bar = "░" * max(1, eighths // 8)
    if not _writes(bar):
        bar = ("-" if weight < 0 else "#") * max(1, eighths // 8)
    return f"{bar:<{_BAR}}"


def _writes(text: str) -> bool:
    """Say whether standard output knows the characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _selected(item: Explanation) -> str:
    """Return the validation correlation, which chose the terms; "" if it is not known."""
    return "" if item.val_correlation is None else f"; {show_selected(Quality(item.val_correlation, item.val_error))}"
