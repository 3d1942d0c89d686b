"""What the commands of the command line do."""

from __future__ import annotations

import shlex
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from linexp._checks import check_at_least, check_choice, check_writable_folder, listing
from linexp.concepts import LabelConcepts
from linexp.concepts.files import open_folder, read_groups
from linexp.explain import LinearExplainer
from linexp.explanation import Explanations
from linexp.images import Images, find_broken, skip_broken
from linexp.matrix import ConceptMatrix
from linexp.models import VisionModel, load_model
from linexp.progress import progress_bar
from linexp.recording import LayerInfo, list_layers, record_layers
from linexp.recording.hooks import find_layers
from linexp.recording.memory import reuse_large_buffers
from linexp.recording.pooling import Pooling
from linexp.score import CorrelationScorer, Scores
from linexp.simulation import simulate
from linexp.split import Split
from linexp.store import Run, load_explanations, load_run, save_explanations, save_run, save_scores

# Images shown at each end of a neuron's range.
_SHOWN = 5


@dataclass(frozen=True)
class ExplainOptions:
    """The options of ``linexp explain``, but for the explainer's own settings."""

    model: str
    layers: tuple[str, ...]
    images: Path
    out: Path
    weights: Path | None = None
    class_names: Path | None = None
    concepts: str = "labels"
    groups: Path | None = None
    pool: str = "mean"
    channels: str = "first"
    token: int = 0
    seed: int = 0
    device: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    skip_broken: bool = False
    trust_remote_code: bool = False


def run_explain(options: ExplainOptions, explainer: LinearExplainer) -> None:
    """Record, explain and save; whatever can be wrong with the input is found before the recording starts."""
    _check_options(options)
    source = LabelConcepts(read_groups(options.groups) if options.groups else None)
    folder = open_folder(options.images, options.class_names)
    concepts, split = _prepare(folder, source, options, explainer)
    check_writable_folder(options.out)
    model = load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
    )
    find_layers(model.module, options.layers)
    outs = _choose_folders(options)
    images = _readable(folder, options)
    if len(images) < len(folder):
        concepts, split = _prepare(images, source, options, explainer)
    reuse_large_buffers()
    recorded = record_layers(
        model,
        options.layers,
        images,
        pool=cast(Any, options.pool),
        channels=cast(Any, options.channels),
        token=options.token,
        batch_size=options.batch_size,
        workers=options.workers,
    )
    names = tuple(images.name(row) for row in range(len(images)))
    for layer, activations in recorded.items():
        run = Run(activations, concepts, split, names, _settings(options, explainer))
        explain_and_save(outs[layer], run, explainer)
        print(f"Next: linexp score {shlex.quote(str(outs[layer]))}")


def explain_and_save(out: Path, run: Run, explainer: LinearExplainer) -> tuple[Explanations, float]:
    """Save what was recorded, explain it, save that too, and say it in a few lines; returns also the seconds."""
    save_run(out, run)
    started = time.perf_counter()
    explanations = explainer.explain(run.activations, run.concepts, run.split)
    seconds = time.perf_counter() - started
    save_explanations(out, explanations)
    print(summary(explanations, run.concepts))
    print(f"  {seconds:.1f} s ({seconds / max(len(explanations), 1) * 1000:.1f} ms per neuron), saved in {out}")
    return explanations, seconds


def summary(explanations: Explanations, concepts: ConceptMatrix) -> str:
    """Describe a layer's explanations in two lines."""
    explained = explanations.n_with("explained")
    quality = (
        f", {explanations.mean_terms:.2f} terms each, val correlation {explanations.mean_val_correlation:.4f}"
        if explained
        else ""
    )
    dropped = explanations.dropped_concepts
    lost = f"; {len(dropped)} dropped as too rare or constant ({listing(dropped, 5)})" if dropped else ""
    return (
        f"layer {explanations.layer}: {explained} of {len(explanations)} neurons explained{quality}; "
        f"{explanations.n_with('empty')} without a fitting concept, {explanations.n_with('constant')} dead\n"
        f"  {concepts.n_concepts - len(dropped)} of {concepts.n_concepts} concepts used{lost}"
    )


def run_score(result: Path, explanations: Path | None) -> Scores:
    """Score a result's explanations, or others, on its test images; saves and prints the scores."""
    run = load_run(result)
    chosen = load_explanations(result) if explanations is None else Explanations.from_csv(explanations)
    layer = run.activations.layer
    if chosen.layer not in ("", layer):
        warnings.warn(
            f"The explanations are of layer '{chosen.layer}', the result is of layer '{layer}'. "
            "The scores only mean something if both are the same neurons.",
            UserWarning,
            stacklevel=2,
        )
    scores = CorrelationScorer().score(simulate(chosen, run.concepts), run.activations, run.split.test)
    path = save_scores(result, scores, "scores" if explanations is None else _scores_name(explanations))
    print(f"layer {layer}: test {scores}\n  saved in {path}")
    return scores


def _scores_name(explanations: Path) -> str:
    """Tell the scores of different methods apart: their files are often called alike, in folders that are not."""
    path = explanations.absolute()
    return "-".join(part for part in ("scores", path.parent.name, path.stem) if part)


def run_show(result: Path, neuron: int) -> None:
    """Print one neuron: explanation, scores, range, and the images at the two ends of it."""
    run = load_run(result)
    explanations = load_explanations(result)
    if neuron not in explanations:
        raise ValueError(
            f"Neuron {neuron} is not in this result. Its {len(explanations)} neurons are "
            f"{listing(explanations.neurons, 6)}."
        )
    chosen = explanations.only([neuron])
    scores = CorrelationScorer().score(simulate(chosen, run.concepts), run.activations, run.split.test)
    value = "undefined" if scores.n_undefined else f"{scores.of(neuron):.2f}"
    values = run.activations.select([neuron]).values[:, 0]
    print(chosen[neuron])
    print(f"layer {explanations.layer}, test {scores.metric} {value} on {scores.n_images} images")
    print(f"activation {values.min():.3g} to {values.max():.3g}, median {values.median():.3g}")
    for title, descending in (("highest", True), ("lowest", False)):
        print(f"{title} on")
        for row in values.argsort(descending=descending, stable=True).tolist()[:_SHOWN]:
            print(f"  {values[row]:10.3g}  {run.image_names[row]}")


def run_layers(model: str, weights: Path | None, depth: int | None, side: int, *, trust_remote_code: bool) -> None:
    """Print the tree of a model's layers with their output shapes."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    check_at_least("depth", 1 if depth is None else depth, 1)
    check_at_least("side", side, 1)
    loaded = load_model(model, weights=weights, trust_remote_code=trust_remote_code)
    root = Tree(escape(loaded.name))
    branches = {"": root}
    for layer in _try_layers(loaded, side):
        parent, _, _ = layer.name.rpartition(".")
        if parent not in branches or (depth is not None and layer.name.count(".") >= depth):
            continue
        shape = "×".join(map(str, layer.shape)) if layer.shape is not None else "no tensor"
        note = {0: "does not run", 1: shape}.get(layer.n_calls, f"{shape}, runs {layer.n_calls} times")
        style = "" if layer.n_calls == 1 and layer.shape is not None else "dim"
        branches[layer.name] = branches[parent].add(
            f"{escape(layer.name)}  [cyan]{escape(layer.kind)}[/]  {note}", style=style
        )
    Console(soft_wrap=True, highlight=False).print(root)


def _try_layers(model: VisionModel, side: int) -> list[LayerInfo]:
    try:
        return list_layers(model, side=side)
    except RuntimeError as error:
        raise RuntimeError(
            f"The model fails on a grey picture of {side} by {side} pixels ({str(error).splitlines()[0]}). "
            "Give the side that it expects with --side."
        ) from error


def _check_options(options: ExplainOptions) -> None:
    """Check what needs neither files nor the model."""
    check_choice("concepts", options.concepts, ("labels",))
    Pooling(cast(Any, options.pool), cast(Any, options.channels), options.token)
    check_at_least("seed", options.seed, 0)
    check_at_least("batch_size", 1 if options.batch_size is None else options.batch_size, 1)
    check_at_least("workers", 0 if options.workers is None else options.workers, 0)


def _prepare(
    images: Images, source: LabelConcepts, options: ExplainOptions, explainer: LinearExplainer
) -> tuple[ConceptMatrix, Split]:
    """Describe and split the images, and find out whether the explainer will take them."""
    concepts = source.describe(images)
    split = Split.random(len(images), options.seed)
    explainer.find_usable(concepts, split)  # refuses concepts of which none is of use
    return concepts, split


def _choose_folders(options: ExplainOptions) -> dict[str, Path]:
    """Return each layer's folder, writable."""
    if len(options.layers) == 1:
        return {options.layers[0]: options.out}
    return {layer: check_writable_folder(options.out / layer) for layer in options.layers}


def _readable(images: Images, options: ExplainOptions) -> Images:
    """Look at every picture before the long work: name the broken ones, or leave them out if asked to."""
    with progress_bar("checking", len(images)) as advance:
        broken = find_broken(images, workers=options.workers, progress=advance)
    if broken and not options.skip_broken:
        names = [f"'{images.name(row)}' ({reason})" for row, reason in broken.items()]
        raise OSError(
            f"{len(broken)} of {len(images)} pictures cannot be read: {listing(names, 5)}. "
            "Remove them, or leave them out with --skip-broken."
        )
    return skip_broken(images, broken) if broken else images


def _settings(options: ExplainOptions, explainer: LinearExplainer) -> dict[str, Any]:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    del plain["out"]  # so that a result can be moved, and two runs compared
    return {**plain, "explainer": asdict(explainer)}
