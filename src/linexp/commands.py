"""What the commands of the command line do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from linexp._checks import check_choice, check_writable_folder, listing
from linexp.concepts import LabelConcepts
from linexp.explain import LinearExplainer
from linexp.explanation import Explanations
from linexp.images import ImageFolder, Images, find_broken, skip_broken
from linexp.matrix import ConceptMatrix
from linexp.models import load_model
from linexp.progress import progress_bar
from linexp.recording import list_layers, record_layers
from linexp.recording.hooks import find_layers
from linexp.recording.memory import reuse_large_buffers
from linexp.score import CorrelationScorer, Scores
from linexp.simulation import simulate
from linexp.split import Split
from linexp.store import Run, load_explanations, load_run, save_explanations, save_run, save_scores


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
    check_choice("concepts", options.concepts, ("labels",))
    check_writable_folder(options.out)
    source = LabelConcepts(read_groups(options.groups) if options.groups else None)
    folder = ImageFolder(options.images, read_class_names(options.class_names) if options.class_names else None)
    source.describe(folder)  # labels missing or all alike: said before the pictures are read
    model = load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
    )
    find_layers(model.module, options.layers)
    images = _readable(folder, options)
    concepts = source.describe(images)
    split = Split.random(len(images), options.seed)
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
        out = options.out if len(recorded) == 1 else options.out / layer
        run = Run(activations, concepts, split, names, _settings(options, explainer))
        explain_and_save(out, run, explainer)
        print(f"Next: linexp score {out}")


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
    dropped = explanations.dropped_concepts
    lost = f"; {len(dropped)} dropped as too rare or constant ({listing(dropped, 5)})" if dropped else ""
    return (
        f"{explanations.layer}: {explained} of {len(explanations)} neurons explained, "
        f"{explanations.mean_terms:.2f} terms each, val correlation {explanations.mean_val_correlation:.4f}; "
        f"{explanations.n_with('empty')} without a fitting concept, {explanations.n_with('constant')} dead\n"
        f"  {concepts.n_concepts - len(dropped)} of {concepts.n_concepts} concepts used{lost}"
    )


def run_score(result: Path, explanations: Path | None) -> Scores:
    """Score a result's explanations, or others, on its test images; saves and prints the scores."""
    run = load_run(result)
    chosen = load_explanations(result) if explanations is None else Explanations.from_csv(explanations)
    scores = CorrelationScorer().score(simulate(chosen, run.concepts), run.activations, run.split.test)
    name = "scores" if explanations is None else f"scores-{explanations.stem}"
    path = save_scores(result, scores, name)
    print(f"{run.activations.layer}: test {scores}\n  saved in {path}")
    return scores


def run_show(result: Path, neuron: int) -> None:
    """Print one neuron: explanation, scores, range, and the images at the two ends of it."""
    run = load_run(result)
    explanations = load_explanations(result)
    if neuron not in explanations.neurons:
        raise ValueError(
            f"Neuron {neuron} is not in this result. Its {len(explanations)} neurons are "
            f"{listing(explanations.neurons, 6)}."
        )
    chosen = explanations.only([neuron])
    scores = CorrelationScorer().score(simulate(chosen, run.concepts), run.activations, run.split.test)
    values = run.activations.select([neuron]).values[:, 0]
    order = values.argsort(descending=True, stable=True).tolist()
    print(chosen[neuron])
    print(f"layer {explanations.layer}, test {scores.metric} {scores.of(neuron):.2f} on {scores.n_images} images")
    print(f"activation {values.min():.3g} to {values.max():.3g}, median {values.median():.3g}")
    for title, rows in (("highest", order[:5]), ("lowest", order[-5:])):
        print(f"{title} on")
        for row in rows:
            print(f"  {values[row]:10.3g}  {run.image_names[row]}")


def run_layers(model: str, weights: Path | None, depth: int | None, *, trust_remote_code: bool) -> None:
    """Print the tree of a model's layers with their output shapes."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    loaded = load_model(model, weights=weights, trust_remote_code=trust_remote_code)
    root = Tree(escape(loaded.name))
    branches = {"": root}
    for layer in list_layers(loaded):
        parent, _, _ = layer.name.rpartition(".")
        if parent not in branches or (depth is not None and layer.name.count(".") >= depth):
            continue
        shape = "×".join(map(str, layer.shape)) if layer.shape is not None else "no tensor"
        note = {0: "does not run", 1: shape}.get(layer.n_calls, f"{shape}, runs {layer.n_calls} times")
        style = "" if layer.n_calls == 1 and layer.shape is not None else "dim"
        branches[layer.name] = branches[parent].add(
            f"{escape(layer.name)}  [cyan]{escape(layer.kind)}[/]  {note}", style=style
        )
    Console(soft_wrap=True).print(root)


def read_groups(path: Path) -> Mapping[str, Any]:
    """Read superclasses from JSON: an object from each group's name to a list of its members (or a nested object).

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not JSON, or not an object of lists.
    """
    text = _read_text(path, "groups")
    try:
        groups: Any = json.loads(text)
    except ValueError as error:
        raise ValueError(f'\'{path}\' is not JSON ({error}). Write it as {{"animal": ["cat", "dog"]}}.') from error
    if not isinstance(groups, dict):
        raise ValueError(f'\'{path}\' holds a {type(groups).__name__}. Write it as {{"animal": ["cat", "dog"]}}.')
    return cast("dict[str, Any]", groups)


def read_class_names(path: Path) -> dict[str, str]:
    """Read lines of folder name, tab, class name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A line has no tab.
    """
    names: dict[str, str] = {}
    for number, line in enumerate(_read_text(path, "class names").splitlines(), start=1):
        folder, tab, name = line.partition("\t")
        if line.strip() and not (tab and name.strip()):
            raise ValueError(f"Line {number} of '{path}' is {line!r}. Write folder, tab, name.")
        if line.strip():
            names[folder.strip()] = name.strip()
    return names


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file '{path}' to read {what} from. Give its path.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"The file '{path}' is not UTF-8 text ({error.reason}). Save it as UTF-8.") from error


def _readable(images: Images, options: ExplainOptions) -> Images:
    """Look at every picture before the long work: name the broken ones, or leave them out if asked to."""
    with progress_bar("checking", len(images)) as advance:
        broken = find_broken(images, workers=options.workers, progress=advance)
    if broken and not options.skip_broken:
        names: Sequence[str] = [f"'{images.name(row)}' ({reason})" for row, reason in broken.items()]
        raise OSError(
            f"{len(broken)} of {len(images)} pictures cannot be read: {listing(names, 5)}. "
            "Remove them, or leave them out with --skip-broken."
        )
    return skip_broken(images, broken) if broken else images


def _settings(options: ExplainOptions, explainer: LinearExplainer) -> dict[str, Any]:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    return {**plain, "out": None, "explainer": asdict(explainer)}
