"""Ablation scores of results: replace neurons by their simulations and measure what that does to the model's loss."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import StoreMismatchError
from linexp.ablation import find_outputs
from linexp.ablation.score import AblationScorer, AblationScores
from linexp.concepts.vocabulary import IMAGENET, IMAGENET_PAPER
from linexp.explanations import Explanation, Explanations, simulate
from linexp.forward.units import Unit, units_of
from linexp.images import Images, is_openmoji
from linexp.matrix import ConceptMatrix
from linexp.models import VisionModel
from linexp.results.cases import check_whole_images, tell_seen
from linexp.results.compare import on_shared_neurons, same_neurons, tell_without_dead
from linexp.results.judge import Judge
from linexp.results.pictures import reopen_pictures
from linexp.results.result import LABELS, Result
from linexp.results.scoring import origin_of
from linexp.score import Scores, compare_scores
from linexp.store import Store, with_store

_KNOWS_THE_ANSWER = (
    "  judged by labels, which know the class of each test image, the one whose loss is measured: where a simulation\n"
    "  lowers the loss by that, it counts against it as a rise does. --simulator names a judge that sees images alone"
)


@dataclass(frozen=True, eq=False)
class Ablation:
    """A case, with everything that scoring it by ablation needs beside the simulation."""

    case: Result
    scorer: AblationScorer
    model: VisionModel
    asked: str
    """What the model was called."""
    images: Images
    labels: list[int] | None

    def check(self) -> None:
        """Raise ``ValueError`` unless the model, its layer and its outputs are those of the case."""
        case = self.case
        try:
            self.scorer.check(case.activations, case.split, self.model, self.images, labels=self.labels)
        except ValueError as error:
            raise type(error)(f"{error} It is said of '{case.shown}'.") from error

    def score(
        self, concepts: ConceptMatrix, judge: Judge | None, *, batch_size: int | None = None, store: Store | None = None
    ) -> Result:
        """Return the case with its ablation scores, by the scaling that was asked for and by the closed form.

        With a store, interrupted work goes on at its first block of neurons that is missing.
        """
        case = self.case
        # Explanations whose layer is called otherwise got here by force only.
        simulated = replace(simulate(case.explanations, concepts), layer=case.activations.layer)
        scores = with_store(
            store,
            lambda store: self.scorer.score(
                simulated,
                case.activations,
                case.split,
                self.model,
                self.images,
                labels=self.labels,
                batch_size=batch_size,
                store=store,
            ),
        )
        labels = list(self.labels if self.labels is not None else self.images.labels or [])
        _warn_of_guessing(case, scores, [labels[row] for row in case.split.test.tolist()])
        scores = replace(scores, origin=origin_of(case, judge))
        both = (scores,) if scores.metric == scores.by_norm.metric else (scores, scores.by_norm)
        return replace(case, scores=both)


def prepare_ablations(
    cases: Sequence[Result],
    scorer: AblationScorer,
    load: Callable[[str, str | None, str | None], VisionModel],
    *,
    outputs: str | None = None,
    images: Path | None = None,
    store: Path | None = None,
) -> list[Ablation]:
    """Open pictures, labels and models of some cases; each once, however many need it.

    What a unit is, the results say. ``load`` makes a model of name, weights and preprocessing; ``outputs`` is as in
    ``find_outputs``, ``images`` and ``store`` as in ``reopen_pictures``.
    """
    check_whole_images(cases, "ablation replaces a neuron in whole ones. Explain without --regions")
    recorded = {id(case.activations): case for case in cases}
    pictures = {which: _open_pictures(case, images, store) for which, case in recorded.items()}
    labels = {which: _find_labels(case, pictures[which], outputs) for which, case in recorded.items()}
    models: dict[tuple[Any, ...], VisionModel] = {}
    found: list[Ablation] = []
    for case in cases:
        units = _units(case)
        key = _setting(case, "model"), *(case.settings.get(name) for name in ("weights", "preprocess"))
        if key not in models:
            models[key] = load(*key)
        which = id(case.activations)
        found.append(Ablation(case, replace(scorer, units=units), models[key], key[0], pictures[which], labels[which]))
    return found


def _units(case: Result) -> Unit:
    pool, channels, token = (_setting(case, name) for name in ("pool", "channels", "token"))
    output = case.settings.get("output")  # results of 0.1.0 have the first, as None means
    name = case.settings.get("units", "channels")  # there was nothing else until 0.3
    found = units_of(name, pool, channels, token, output)
    known = case.settings.get("units_content")
    if known is not None and found.key != known:
        raise StoreMismatchError(
            f"The file of '{name}' is not the one whose units the result in '{case.folder}' is of. Bring back "
            "that file, or make the result anew with linexp explain."
        )
    return found


def _setting(case: Result, name: str) -> Any:
    if name not in case.settings:
        raise StoreMismatchError(
            f"The result in '{case.folder}' does not say its '{name}', so it cannot be told how its neurons were "
            "recorded. Make it anew with linexp explain."
        )
    return case.settings[name]


def _open_pictures(case: Result, folder: Path | None, store: Path | None) -> Images:
    if is_openmoji(case.settings.get("images")):
        raise ValueError(
            f"The result in '{case.folder}' is of the demo's drawings, and their groups are no outputs of "
            f"'{case.settings.get('model')}', so there is no loss to compare. "
            "Ablate a result of pictures of the model's own classes."
        )
    return reopen_pictures(case, folder, store)


def _find_labels(run: Result, images: Images, outputs: str | None) -> list[int] | None:
    known = IMAGENET if run.settings.get("class_names") in (IMAGENET, IMAGENET_PAPER) else None
    return find_outputs(outputs or known, images)


def _warn_of_guessing(case: Result, scores: AblationScores, labels: Sequence[int]) -> None:
    most = max(Counter(labels).values()) / len(labels)
    if scores.accuracy <= most:
        warnings.warn(
            f"The model is right on {100 * scores.accuracy:.1f} % of the test images of '{case.shown}', and naming one "
            f"class for all is on {100 * most:.1f} %, so their labels are perhaps not its outputs. "
            "Say with --outputs which output each class is.",
            UserWarning,
            stacklevel=2,
        )


def with_constants(found: Sequence[Result]) -> list[Result]:
    """Put behind the methods of the same neurons what a constant, and the recorded activations, score."""
    beside = ((group, on_shared_neurons(group)[0]) for group in same_neurons(found))
    return [scored for group, first in beside for scored in (*group, *_constant(first), *_ceiling(first))]


def _constant(first: Result) -> list[Result]:
    scores = cast(AblationScores, first.scores[0])
    if len(first.scores) == 1:
        return []  # with the closed-form scaling it is the mean, and scores 0
    by_norm = replace(scores.by_constant, values=0 * scores.norm, metric=scores.by_norm.metric)
    return [_without_terms(first, (scores.by_constant, by_norm))]


def _ceiling(first: Result) -> list[Result]:
    scores = cast(AblationScores, first.scores[0])
    if scores.exact:
        return []  # 1
    by_norm = replace(scores.by_recorded, values=scores.ceiling_norm, metric=scores.by_norm.metric)
    return [_without_terms(first, (scores.by_recorded, by_norm)[: len(first.scores)])]


def _without_terms(first: Result, scores: tuple[Scores, ...]) -> Result:
    levels = zip(first.scores[0].neurons, cast(AblationScores, first.scores[0]).level.tolist(), strict=True)
    nothing = tuple(Explanation(neuron, (), level, outcome="empty") for neuron, level in levels)
    return replace(first, explanations=Explanations(nothing, first.explanations.layer), scores=scores)


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
