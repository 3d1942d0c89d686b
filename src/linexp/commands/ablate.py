"""``linexp ablate``: replace neurons by their simulations and measure what that does to the model's loss."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import StoreMismatchError
from linexp.ablation import find_outputs
from linexp.ablation.score import AblationScorer, AblationScores
from linexp.commands.ablate_text import tell_answer, tell_ceiling, tell_signs
from linexp.concepts.vocabulary import IMAGENET, IMAGENET_PAPER
from linexp.explanations import Explanation, Explanations, simulate
from linexp.forward import reuse_large_buffers
from linexp.images import Images, is_openmoji
from linexp.matrix import ConceptMatrix
from linexp.models import VisionModel, load_model, tell_device, tell_model
from linexp.results import (
    Result,
    ScoreOptions,
    check_unseen_cases,
    judge_cases,
    on_shared_neurons,
    open_cases,
    origin_of,
    print_tables,
    reopen_pictures,
    same_neurons,
    save_apart,
    tell_seen,
    tell_without_dead,
)
from linexp.score import Scores, compare_scores
from linexp.store import open_store, with_store


@dataclass(frozen=True)
class AblateOptions:
    """The options of ``linexp ablate`` beside those of simulating."""

    scaling: str = "optim"
    temperature: float | None = None
    replace: str = "auto"
    outputs: str | None = None


@dataclass(frozen=True, eq=False)
class _Job:
    """A case, with everything that scoring it needs beside the simulation."""

    case: Result
    scorer: AblationScorer
    model: VisionModel
    images: Images
    labels: list[int] | None

    def check(self) -> None:
        run = self.case
        try:
            self.scorer.check(run.activations, run.split, self.model, self.images, labels=self.labels)
        except ValueError as error:
            raise type(error)(f"{error} It is said of '{self.case.shown}'.") from error


def run_ablate(results: Sequence[Path], simulating: ScoreOptions, options: AblateOptions) -> list[AblationScores]:
    """Simulate the neurons of results, put the simulations into the model, save and print the scores.

    Each method's scores are saved as soon as they are there; with a store, interrupted work goes on at its first
    block of neurons that is missing.
    """
    scorer = AblationScorer(cast(Any, options.scaling), options.temperature, cast(Any, options.replace))
    cases = open_cases(results, simulating)
    check_unseen_cases(cases, simulating)
    jobs = _prepare(cases, scorer, simulating, options)
    for job in jobs:
        job.check()
    judged = judge_cases(cases, simulating)
    for model, asked in {job.model.name: (job.model, _setting(job.case, "model")) for job in jobs}.values():
        tell_model(model, asked)
    if simulating.simulator is None:  # else told with it
        tell_device(simulating.device)
    reuse_large_buffers()
    found: list[Result] = []
    for job, concepts in zip(jobs, judged, strict=True):
        scores = _score(job, concepts, simulating)
        found.append(_scored(job.case, scores))
        _print(job, scores, tell_without_dead(found[-1]), save_apart(job.case, scores, simulating))
    if len(cases) > 1 or simulating.table is not None:
        print_tables(_with_constants(found), simulating.table)
    return [cast(AblationScores, scored.scores[0]) for scored in found]


def _prepare(
    cases: Sequence[Result], scorer: AblationScorer, simulating: ScoreOptions, options: AblateOptions
) -> list[_Job]:
    """Open pictures, labels and models; each once, however many results need it."""
    pictures = {id(case.activations): _open_pictures(case, simulating) for case in cases}
    labels = {
        id(case.activations): _find_labels(case, pictures[id(case.activations)], options.outputs) for case in cases
    }
    models: dict[tuple[Any, ...], VisionModel] = {}
    jobs: list[_Job] = []
    for case in cases:
        how = {name: _setting(case, name) for name in ("pool", "channels", "token")}
        how["output"] = case.settings.get("output")  # results of 0.1.0 have the first, as None means
        key = _setting(case, "model"), *(case.settings.get(name) for name in ("weights", "preprocess"))
        if key not in models:
            device, trust = simulating.device, simulating.trust_remote_code
            models[key] = load_model(key[0], weights=key[1], device=device, trust_remote_code=trust, preprocess=key[2])
        which = id(case.activations)
        jobs.append(_Job(case, replace(scorer, **how), models[key], pictures[which], labels[which]))
    return jobs


def _setting(case: Result, name: str) -> Any:
    if name not in case.settings:
        raise StoreMismatchError(
            f"The result in '{case.folder}' does not say its '{name}', so it cannot be told how its neurons were "
            "recorded. Make it anew with linexp explain."
        )
    return case.settings[name]


def _open_pictures(case: Result, simulating: ScoreOptions) -> Images:
    if is_openmoji(case.settings.get("images")):
        raise ValueError(
            f"The result in '{case.folder}' is of the demo's drawings, and their groups are no outputs of "
            f"'{case.settings.get('model')}', so there is no loss to compare. "
            "Ablate a result of pictures of the model's own classes."
        )
    return reopen_pictures(case, simulating.images, simulating.store)


def _find_labels(run: Result, images: Images, outputs: str | None) -> list[int] | None:
    known = IMAGENET if run.settings.get("class_names") in (IMAGENET, IMAGENET_PAPER) else None
    return find_outputs(outputs or known, images)


def _score(job: _Job, concepts: ConceptMatrix, simulating: ScoreOptions) -> AblationScores:
    run, simulated = job.case, simulate(job.case.explanations, concepts)
    # Explanations whose layer is called otherwise got here by force only.
    simulated = replace(simulated, layer=run.activations.layer)
    scores = with_store(
        open_store(simulating.store),
        lambda store: job.scorer.score(
            simulated,
            run.activations,
            run.split,
            job.model,
            job.images,
            labels=job.labels,
            batch_size=simulating.batch_size,
            store=store,
        ),
    )
    labels = list(job.labels if job.labels is not None else job.images.labels or [])
    _warn_of_guessing(job.case, scores, [labels[row] for row in run.split.test.tolist()])
    return replace(scores, origin=origin_of(job.case, simulating))


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


def _print(job: _Job, scores: AblationScores, without_dead: Sequence[str], path: Path) -> None:
    print("\n".join([f"layer {job.case.activations.layer}: test {scores}", *without_dead]))
    if job.scorer.scaling != "norm":
        constant, added = scores.by_constant, compare_scores(scores, scores.by_constant)
        print(
            f"  of which {constant.mean:.4f} ± {constant.sem:.4f} by a constant alone; "
            f"the simulation adds {added.mean:+.4f} ± {added.sem:.4f}"
        )
        norm = scores.by_norm
        print(
            f"  with least-squares scaling {norm.mean:.4f} ± {norm.sem:.4f}; "
            f"{scores.n_improved} of {len(norm.defined)} neurons score higher than so"
        )
    chosen = job.scorer.replace == "auto"
    print(f"  {tell_ceiling(scores, chosen=chosen)}\n  {tell_signs(scores)}{tell_answer(scores)}")
    right = f"the model is right on {100 * scores.accuracy:.1f} % of the test images"
    print(f"  {right}; temperature {scores.temperature:.3f}\n  saved in {path}")
    if seen := tell_seen(job.case, "test"):
        print(seen)


def _scored(case: Result, scores: AblationScores) -> Result:
    both = (scores,) if scores.metric == scores.by_norm.metric else (scores, scores.by_norm)
    return replace(case, scores=both)


def _with_constants(found: Sequence[Result]) -> list[Result]:
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
