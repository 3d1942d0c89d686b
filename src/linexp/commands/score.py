"""``linexp score`` and ``linexp simulate``: predict neurons from their explanations, and compare with what they did."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linexp.commands.sources import find_calibration, open_store, reopen_pictures, with_store
from linexp.concepts import Encoder, TextConcepts, load_encoder, same_model
from linexp.explanation import Explanations
from linexp.images import Images, ImageSubset
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, save_activations
from linexp.score import CorrelationScorer, Scores
from linexp.shards import Store
from linexp.simulation import simulate
from linexp.store import Run, load_explanations, load_run, save_scores


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


@dataclass(frozen=True, eq=False)
class _Case:
    """One result and the explanations of it that are judged."""

    folder: Path
    run: Run
    explanations: Explanations


def run_score(results: Sequence[Path], options: ScoreOptions) -> list[Scores]:
    """Score the explanations of results, or others, on their test images; saves and prints the scores."""
    cases = [_open(folder, options) for folder in results]
    judged = _judge(cases, options, test_only=True)
    found: list[Scores] = []
    for case, concepts in zip(cases, judged, strict=True):
        simulated = simulate(case.explanations, concepts)
        if options.simulator is None:
            scores = CorrelationScorer().score(simulated, case.run.activations, case.run.split.test)
        else:
            recorded = _test_rows(case.run, concepts.images)
            scores = CorrelationScorer().score(simulated, recorded, range(recorded.n_images))
        path = save_scores(case.folder, scores, _name("scores", options))
        print(f"layer {case.run.activations.layer}: test {scores}\n  saved in {path}")
        found.append(scores)
    if len(cases) > 1:
        _print_table(cases, found)
    return found


def run_simulate(result: Path, options: ScoreOptions, out: Path | None) -> ActivationMatrix:
    """Predict the activations of a result's neurons on all its images; saves them."""
    case = _open(result, options)
    (concepts,) = _judge([case], options, test_only=False)
    simulated = simulate(case.explanations, concepts)
    path = out or result / f"{_name('simulated', options)}.safetensors"
    save_activations(path, simulated, simulator=options.simulator or "")
    print(f"layer {simulated.layer}: {simulated.n_neurons} neurons simulated on {simulated.n_images} images")
    print(f"  saved in {path}")
    return simulated


def _open(folder: Path, options: ScoreOptions) -> _Case:
    run = load_run(folder)
    path = options.explanations
    chosen = load_explanations(folder) if path is None else Explanations.from_csv(path)
    layer = run.activations.layer
    if chosen.layer not in ("", layer):
        warnings.warn(
            f"The explanations are of layer '{chosen.layer}', the result is of layer '{layer}'. "
            "The scores only mean something if both are the same neurons.",
            UserWarning,
            stacklevel=2,
        )
    return _Case(folder, run, chosen)


def _judge(cases: Sequence[_Case], options: ScoreOptions, *, test_only: bool) -> list[ConceptMatrix]:
    """Return, for each case, how much of the concepts is in its images.

    Without a simulator what explained also judges, on all images; with one it can be done for the test images alone.
    """
    if options.simulator is None:
        for case in cases:
            _warn_of_own_judge(case)
        return [case.run.concepts for case in cases]
    pictures = [reopen_pictures(case.run, options.images) for case in cases]
    encoder = load_encoder(
        options.simulator,
        device=options.device,
        batch_size=options.batch_size,
        trust_remote_code=options.trust_remote_code,
    )
    store = open_store(options.store)
    source = _Simulator(encoder, options, store, [name for case in cases for name in case.explanations.concepts])
    for case in cases:
        _warn_of_same_model(case.run, encoder.name)
    return [
        source.describe(ImageSubset(images, case.run.split.test.tolist()) if test_only else images)
        for case, images in zip(cases, pictures, strict=True)
    ]


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


def _test_rows(run: Run, images: str | None) -> ActivationMatrix:
    activations = run.activations
    return ActivationMatrix(activations.block(run.split.test), activations.neurons, activations.layer, images)


def _warn_of_own_judge(case: _Case) -> None:
    if isinstance(case.run.concepts, EmbeddedConceptMatrix):
        warnings.warn(
            f"'{case.folder}' is judged by '{case.run.settings.get('encoder')}', which also explained, so the scores "
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


def _name(kind: str, options: ScoreOptions) -> str:
    """Tell the files of different methods and simulators apart, so that none takes the place of another."""
    parts = [kind]
    if options.explanations is not None:  # files are often called alike, in folders that are not
        path = options.explanations.absolute()
        parts += [part for part in (path.parent.name, path.stem) if part]
    if options.simulator is not None:
        parts += ["by", re.sub(r"[^\w.]+", "-", options.simulator).strip("-")]
    return "-".join(parts)


def _print_table(cases: Sequence[_Case], found: Sequence[Scores]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in ("result", "neurons", "terms", "val corr.", "test corr.", "no score"):
        table.add_column(column, justify="left" if column == "result" else "right")
    for case, scores in zip(cases, found, strict=True):
        table.add_row(
            escape(str(case.folder)),
            f"{len(case.explanations):,}",
            f"{case.explanations.mean_terms:.2f}",
            f"{case.explanations.mean_val_correlation:.3f}",
            f"{scores.mean:.3f} ± {scores.sem:.3f}",
            str(scores.n_undefined),
        )
    Console(soft_wrap=True, highlight=False).print(table)
