"""What commands that judge explanations share: results, the explanations of their neurons, and who judges them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch

from linexp._internal.checks import AUTO, closest
from linexp.concepts import TextConcepts, find_calibration
from linexp.concepts.encoders import Encoder, load_encoder, same_model
from linexp.explanations import Explanations
from linexp.images import Images, ImageSubset
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix
from linexp.models import same_network, tell_device
from linexp.results.folder import Run, load_explanations, load_run, peek, save_scores, slug
from linexp.results.judges import suggest_judge
from linexp.results.pictures import reopen_pictures
from linexp.results.result import Result
from linexp.score import TOP_SHARE, Origin, Scores, read_scores
from linexp.store import Store, open_store, with_store

T = TypeVar("T")


@dataclass(frozen=True)
class ScoreOptions:
    """The options of ``linexp score`` and ``linexp simulate``."""

    explanations: Path | None = None
    simulator: str | None = None
    calibration: str | None = None
    template: tuple[str, ...] = ()
    images: Path | None = None
    device: str = AUTO
    batch_size: int | None = None
    trust_remote_code: bool = False
    store: Path | None = None
    metrics: tuple[str, ...] = ("correlation",)
    top_share: float = TOP_SHARE
    part: str = "test"
    force: bool = False
    table: Path | None = None


def origin_of(case: Result, options: ScoreOptions) -> Origin:
    """Say where scores of these explanations are from."""
    images = case.activations.images or ""
    return Origin(case.shown, options.simulator or case.judge, images, options.part, case.n_seen(options.part))


def open_cases(results: Sequence[Path], options: ScoreOptions) -> list[Result]:
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


def _open(path: Path, run: Run, first: Path, options: ScoreOptions) -> Result:
    file = path if _is_file(path) else options.explanations
    if file is None:
        return Result.of(run, load_explanations(path), folder=path)
    layer = run.activations.layer
    chosen = _read_file(file, layer)
    if chosen.layer not in ("", layer) and not options.force:
        raise ValueError(
            f"The explanations in '{file}' are of layer '{chosen.layer}', the result is of layer '{layer}'. "
            "Give explanations of the same neurons; if only the layers' names differ, use --force."
        )
    _warn_of_other_network(file, chosen, run)
    unknown = sorted(set(chosen.neurons) - set(run.activations.neurons))
    if unknown:
        run.activations.select(unknown)  # refuses, before any image is looked at
    return Result.of(run, chosen, folder=first if _is_file(path) else path, source=file)


def _warn_of_other_network(file: Path, chosen: Explanations, run: Run) -> None:
    """Say so where explanations are known to be of another network than the result: neurons are numbered alike."""
    network, model = chosen.network or _network_beside(file), str(run.settings.get("model") or "")
    if not network or not model or run.settings.get("weights"):
        return
    same = same_network(network, model)
    if same is False:
        fact = f"The explanations in '{file}' are of the network '{network}', and the result is of '{model}'"
        warnings.warn(f"{fact}, so they are of other neurons. Use a result of '{network}'.", UserWarning, stacklevel=2)
    elif same is None and network.startswith(f"{model}:"):
        fact = f"The explanations in '{file}' are of the network '{network}', and the result does not say which weights"
        warnings.warn(f"{fact} of '{model}' it has. Make it with --model {network}.", UserWarning, stacklevel=2)


def _network_beside(file: Path) -> str:
    """Return the network of the result in whose folder a file is; "" where that is not known."""
    settings = peek(file.parent).get("settings")
    if not isinstance(settings, dict):
        return ""
    told = cast("dict[str, Any]", settings)
    return "" if told.get("weights") else str(told.get("model") or "")


def _read_file(file: Path, layer: str) -> Explanations:
    """Read a file of explanations; if it is that of a result, what they were fitted on is known from there too."""
    of_result = file.name == "explanations.csv" and (file.parent / "run.json").is_file()
    return load_explanations(file.parent) if of_result else Explanations.from_csv(file, layer)


def judge_cases(cases: Sequence[Result], options: ScoreOptions) -> list[ConceptMatrix]:
    """Return, for each case, how much of the concepts is in all of its images."""
    if options.simulator is None:
        return _own_judges(cases)
    return _ask(cases, options, lambda _, images, simulator: simulator.describe(images))


class Judgement(NamedTuple):
    """How much of the concepts is in some images, and which of its rows are the images scored on, and of validation.

    ``images`` are all of the result and ``seen`` those that were looked at; ``None`` where only matrices were opened.
    """

    concepts: ConceptMatrix
    scored: torch.Tensor
    val: torch.Tensor | None
    images: Images | None = None
    seen: Images | None = None


def judge_parts(cases: Sequence[Result], options: ScoreOptions) -> list[Judgement]:
    """Return, for each case, how much of the concepts is in the images that scoring needs.

    Without a simulator what explained also judges: on all images, and there is nobody to measure. With one, the images
    scored on and the validation images, by which the simulator is measured, are looked at, and no others.
    """
    if options.simulator is None:
        own = zip(cases, _own_judges(cases), strict=True)
        return [Judgement(concepts, case.rows(options.part), None) for case, concepts in own]

    def look(case: Result, images: Images, simulator: _Simulator) -> Judgement:
        parts = [case.rows(options.part), *([] if options.part == "val" else [case.rows("val")])]
        places = torch.arange(sum(map(len, parts))).split([len(part) for part in parts])
        seen = ImageSubset(images, torch.cat(parts).tolist())
        return Judgement(simulator.describe(seen), places[0], places[-1], images, seen)

    return _ask(cases, options, look)


def _own_judges(cases: Sequence[Result]) -> list[ConceptMatrix]:
    for case in {case.folder: case for case in cases}.values():
        _warn_of_own_judge(case)
    for case in cases:
        _check_known(case)
    return [case.concepts for case in cases]


def _ask(cases: Sequence[Result], options: ScoreOptions, look: Callable[[Result, Images, _Simulator], T]) -> list[T]:
    """Open pictures and simulator, and let it look at those of each case."""
    assert options.simulator is not None
    pictures = {id(case.activations): reopen_pictures(case, options.images, options.store) for case in cases}
    encoder = load_encoder(
        options.simulator,
        device=options.device,
        batch_size=options.batch_size,
        trust_remote_code=options.trust_remote_code,
    )
    store = open_store(options.store)
    source = _Simulator(encoder, options, store, [name for case in cases for name in case.explanations.concepts])
    tell_device(options.device)
    for run in {id(case.activations): case for case in cases}.values():
        _warn_of_same_model(run, encoder.name)
    try:
        return [look(case, pictures[id(case.activations)], source) for case in cases]
    except ValueError as error:
        raise ValueError(f"{error}{_who_says(cases, str(error))}") from error


def _check_known(case: Result) -> None:
    known = set(case.concepts.names)
    for item in case.explanations:
        unknown = next((name for name in item.concepts if name not in known), None)
        if unknown is not None:
            raise ValueError(
                f"The concept '{unknown}' is not among the {len(known)} of the result in '{case.folder}', but "
                f"'{case.shown}' says it of neuron {item.neuron}.{closest(unknown, known)} Name a model that judges "
                "any text, with --simulator."
            )


def _who_says(cases: Sequence[Result], complaint: str) -> str:
    """Name the first explanation with a text that a complaint quotes."""
    for case in cases:
        for item in case.explanations:
            if any(f"'{name}'" in complaint for name in item.concepts):
                return f" It is said of neuron {item.neuron} in '{case.shown}'."
    return ""


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


def _warn_of_own_judge(run: Result) -> None:
    folder = run.folder
    if run.settings.get("concepts") == "labels":
        judge, _ = suggest_judge(str(run.settings.get("model") or ""), None)
        warnings.warn(
            f"'{folder}' is judged by the labels that also explained it, so the scores are higher than by a model "
            f"that only sees the pictures. Name one with --simulator, such as {judge}.",
            UserWarning,
            stacklevel=2,
        )
    elif isinstance(run.concepts, EmbeddedConceptMatrix):
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


def file_name(kind: str, method: str, options: ScoreOptions, metric: str = "correlation") -> str:
    """Tell the files of different scores apart, so that none takes the place of another.

    What is usual is not said: the result's own explanations and concepts, the test images, correlation.
    """
    by = () if options.simulator is None else ("by", options.simulator, *options.template)
    part = () if options.part == "test" else ("on", options.part)
    return slug(kind, method, *by, *part, "" if metric == "correlation" else metric)


def save_apart(case: Result, scores: Scores, options: ScoreOptions) -> Path:
    """Write scores into the result's folder, in the place of none but earlier ones of the same; returns the path."""
    name = file_name("scores", case.name, options, scores.metric)
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
