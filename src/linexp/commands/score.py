"""``linexp score`` and ``linexp simulate``: predict neurons from their explanations, and compare with what they did."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from linexp._checks import check_choice
from linexp.commands.score_table import Scored, print_tables
from linexp.commands.sources import find_calibration, open_store, reopen_pictures, with_store
from linexp.concepts import Encoder, TextConcepts, load_encoder, same_model
from linexp.explanation import Explanations
from linexp.images import Images, ImageSubset
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, save_activations
from linexp.score import TOP_SHARE, Origin, Scorer, Scores, scorers_of
from linexp.shards import Store
from linexp.simulation import simulate
from linexp.store import Run, load_explanations, load_run, save_scores

PARTS = ("test", "val", "train")
_USED_FOR = {"val": "chosen by", "train": "fitted on"}


@dataclass(frozen=True)
class ScoreOptions:
    """The options of ``linexp score`` and ``linexp simulate``."""

    explanations: Path | None = None
    simulator: str | None = None
    calibration: str | None = None
    template: tuple[str, ...] = ()
    images: Path | None = None
    device: str | None = None
    batch_size: int | None = None
    trust_remote_code: bool = False
    store: Path | None = None
    metrics: tuple[str, ...] = ("correlation",)
    top_share: float = TOP_SHARE
    part: str = "test"
    force: bool = False
    table: Path | None = None


@dataclass(frozen=True, eq=False)
class _Case:
    """Explanations that are judged, and the result whose neurons they are of."""

    shown: str
    name: str
    folder: Path
    run: Run
    explanations: Explanations

    def rows(self, part: str) -> torch.Tensor:
        split = self.run.split
        return {"test": split.test, "val": split.val, "train": split.train}[part]


def run_score(results: Sequence[Path], options: ScoreOptions) -> list[Scores]:
    """Score the explanations of results, or others, on their test images; saves and prints the scores.

    Returns the scores of the first result by each metric, then those of the second, and so on.
    """
    scorers = scorers_of(options.metrics, options.top_share)
    _check_part(options)
    cases = _open_all(results, options)
    judged = _judge(cases, options, test_only=True)
    found = [_score(case, concepts, scorers, options) for case, concepts in zip(cases, judged, strict=True)]
    for case, scored in zip(cases, found, strict=True):
        for scores in scored.scores:
            path = save_scores(case.folder, scores, _name("scores", case.name, options, scores.metric))
            print(f"layer {case.run.activations.layer}: {options.part} {scores}\n  saved in {path}")
    if len(cases) > 1 or options.table is not None:
        print_tables(found, options.table)
    return [scores for scored in found for scores in scored.scores]


def run_simulate(result: Path, options: ScoreOptions, out: Path | None) -> ActivationMatrix:
    """Predict the activations of a result's neurons on all its images; saves them."""
    (case,) = _open_all([result], options)
    (concepts,) = _judge([case], options, test_only=False)
    simulated = simulate(case.explanations, concepts)
    path = out or result / f"{_name('simulated', case.name, options)}.safetensors"
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


def _open_all(results: Sequence[Path], options: ScoreOptions) -> list[_Case]:
    """Open results, and files of explanations: these are of the neurons of the first result."""
    runs = {folder: load_run(folder) for folder in results if not _is_file(folder)}
    if not runs:
        raise ValueError(
            f"'{results[0]}' is a file of explanations, and no result says what its neurons did. "
            "Give a folder that linexp explain wrote, too."
        )
    return [_open(path, runs.get(path) or next(iter(runs.values())), next(iter(runs)), options) for path in results]


def _is_file(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".json") and not path.is_dir()


def _open(path: Path, run: Run, first: Path, options: ScoreOptions) -> _Case:
    file = path if _is_file(path) else options.explanations
    if file is None:
        return _Case(str(path), "", path, run, load_explanations(path))
    chosen, layer = Explanations.from_csv(file), run.activations.layer
    if chosen.layer not in ("", layer) and not options.force:
        raise ValueError(
            f"The explanations in '{file}' are of layer '{chosen.layer}', the result is of layer '{layer}'. "
            "Give explanations of the same neurons; if only the layers' names differ, use --force."
        )
    unknown = sorted(set(chosen.neurons) - set(run.activations.neurons))
    if unknown:
        run.activations.select(unknown)  # refuses, before any image is looked at
    # Files are often called alike, in folders that are not.
    name = "-".join(part for part in (file.absolute().parent.name, file.stem) if part)
    return _Case(str(file), name, first if _is_file(path) else path, run, chosen)


def _judge(cases: Sequence[_Case], options: ScoreOptions, *, test_only: bool) -> list[ConceptMatrix]:
    """Return, for each case, how much of the concepts is in its images.

    Without a simulator what explained also judges, on all images; with one it can be done for the scored images alone.
    """
    if options.simulator is None:
        for folder, run in {case.folder: case.run for case in cases}.items():
            _warn_of_own_judge(folder, run)
        return [case.run.concepts for case in cases]
    pictures = {id(case.run): reopen_pictures(case.run, options.images) for case in cases}
    encoder = load_encoder(
        options.simulator,
        device=options.device,
        batch_size=options.batch_size,
        trust_remote_code=options.trust_remote_code,
    )
    store = open_store(options.store)
    source = _Simulator(encoder, options, store, [name for case in cases for name in case.explanations.concepts])
    for run in {id(case.run): case.run for case in cases}.values():
        _warn_of_same_model(run, encoder.name)
    try:
        return [
            source.describe(ImageSubset(images, case.rows(options.part).tolist()) if test_only else images)
            for case in cases
            for images in (pictures[id(case.run)],)
        ]
    except ValueError as error:
        raise ValueError(f"{error}{_who_says(cases, str(error))}") from error


def _who_says(cases: Sequence[_Case], complaint: str) -> str:
    """Name the first explanation with a text that a complaint quotes."""
    for case in cases:
        for item in case.explanations:
            if any(f"'{name}'" in complaint for name in item.concepts):
                return f" It is said of neuron {item.neuron} in '{case.shown}'."
    return ""


def _score(case: _Case, concepts: ConceptMatrix, scorers: Sequence[Scorer], options: ScoreOptions) -> Scored:
    simulated, rows = simulate(case.explanations, concepts), case.rows(options.part)
    activations = case.run.activations
    recorded = ActivationMatrix(activations.block(rows), activations.neurons, activations.layer, activations.images)
    if options.simulator is None:
        seen = ActivationMatrix(simulated.values[rows], simulated.neurons, simulated.layer, activations.images)
    else:
        seen = ActivationMatrix(simulated.values, simulated.neurons, simulated.layer, activations.images)
    own = str(case.run.settings.get("encoder") or "labels")
    origin = Origin(case.shown, options.simulator or own, activations.images or "", options.part)
    scores = [replace(scorer.score(seen, recorded, range(len(rows))), origin=origin) for scorer in scorers]
    return Scored(case.explanations, recorded, tuple(scores))


class _Simulator:
    """Embeds every concept that occurs in any explanation, and every collection of images, once."""

    def __init__(self, encoder: Encoder, options: ScoreOptions, store: Store | None, names: Sequence[str]) -> None:
        if not names:
            raise ValueError("No explanation names a concept, so there is nothing to simulate. Explain anew.")
        texts = tuple(dict.fromkeys(names))
        self.source = TextConcepts(
            texts, encoder, find_calibration(options.calibration, encoder), options.template or ("{}",)
        )
        self.store = store
        self.described: dict[str, ConceptMatrix] = {}

    def describe(self, images: Images) -> ConceptMatrix:
        if images.fingerprint not in self.described:
            self.described[images.fingerprint] = with_store(
                self.store, lambda store: self.source.describe(images, store=store)
            )
        return self.described[images.fingerprint]


def _warn_of_own_judge(folder: Path, run: Run) -> None:
    if isinstance(run.concepts, EmbeddedConceptMatrix):
        warnings.warn(
            f"'{folder}' is judged by '{run.settings.get('encoder')}', which also explained, so the scores "
            "are too high. Name another model with --simulator.",
            UserWarning,
            stacklevel=2,
        )


def _warn_of_same_model(run: Run, simulator: str) -> None:
    explainer, explained = str(run.settings.get("encoder") or ""), run.settings.get("model")
    if explainer and same_model(explainer, simulator):
        who = "explained"
    elif same_model(f"conse:{explained}", simulator):
        who = "is explained"
    else:
        return
    warnings.warn(
        f"The simulator '{simulator}' is the model that {who}, so the scores are too high. Choose another.",
        UserWarning,
        stacklevel=2,
    )


def _name(kind: str, method: str, options: ScoreOptions, metric: str = "correlation") -> str:
    """Tell the files of different scores apart, so that none takes the place of another.

    What is usual is not said: the result's own explanations and concepts, the test images, correlation.
    """
    parts = [kind, method]
    if options.simulator is not None:
        parts += ["by", options.simulator, *options.template]
    if options.part != "test":
        parts += ["on", options.part]
    if metric != "correlation":
        parts.append(metric)
    slugs = (re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)
    return "-".join(slug for slug in slugs if slug)
