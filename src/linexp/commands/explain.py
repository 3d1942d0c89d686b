"""``linexp explain``: from a model, a folder of pictures and a source of concepts to explanations in a folder."""

from __future__ import annotations

import shlex
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from linexp._internal.checks import AUTO, check_at_least, check_choice, choose_device, printable
from linexp._internal.files import check_writable_folder
from linexp.commands.sources import only_readable
from linexp.concepts import ConceptSource, LabelConcepts, TextConcepts, find_calibration
from linexp.concepts.encoders import load_encoder, same_model
from linexp.concepts.vocabulary import (
    IMAGENET,
    IMAGENET_PAPER,
    WORDNET,
    group_names,
    open_groups,
    open_pictures,
    read_vocabulary,
)
from linexp.explainers import Explainer, Usable, describe_explainer, find_usable, on_device
from linexp.explanations import Explanations, tell_dropped
from linexp.forward import find_layers, look_at_layers, record_layers, remarked, reuse_large_buffers
from linexp.forward.units import Unit, choose_units
from linexp.images import ImageFolder, Images, ImageSubset, contents_of
from linexp.matrix import DEAD_BELOW, ActivationMatrix, ConceptMatrix, Split
from linexp.models import VisionModel, describe_preprocess, load_model, tell_device, tell_model
from linexp.results import ENCODER, Run, save_explanations, save_run, suggest_judge
from linexp.store import Store, UnknownContentError, content_of, open_store, with_store

VOCABULARY = "imagenet+nouns"


@dataclass(frozen=True)
class ExplainOptions:
    """The options of ``linexp explain``, but for the explainer's own settings."""

    model: str
    layers: tuple[str, ...]
    images: Path
    out: Path
    weights: Path | None = None
    preprocess: str | None = None
    class_names: str | None = None
    concepts: str = "labels"
    groups: str | None = None
    merge_homonyms: bool = False
    vocabulary: str | None = None
    encoder: str | None = None
    calibration: str | None = None
    template: tuple[str, ...] = ()
    pool: str = "mean"
    channels: str = "auto"
    token: int = 0
    output: str | None = None
    seed: int = 0
    split: Path | None = None
    device: str = AUTO
    batch_size: int | None = None
    workers: int | None = None
    skip_broken: bool = False
    trust_remote_code: bool = False
    store: Path | None = None


def run_explain(options: ExplainOptions, explainer: Explainer) -> None:
    """Record, explain and save; whatever can be wrong with the input is found before the long work starts."""
    _check_options(options)
    options = replace(options, device=str(choose_device(options.device)))
    explainer = on_device(explainer, options.device)
    folder = open_pictures(options.images, options.class_names)
    store = open_store(options.store)
    split = None if options.split is None else Split.from_file(options.split, folder)
    source = _open_source(options, folder)
    prepared = None
    if options.concepts == "labels":  # it takes no time, and says what is wrong with labels and groups
        prepared = _prepare(folder, source, options, explainer, split)
    check_writable_folder(options.out)
    model = load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
        preprocess=options.preprocess,
    )
    find_layers(model.module, options.layers)
    outs = _choose_folders(options)
    images = only_readable(folder, workers=options.workers, leave_out=options.skip_broken, store=options.store)
    taken = look_at_layers(model, options.layers, images, _units(options))
    contents = tuple(content.hex() for content in contents_of(images))
    reuse_large_buffers()
    split = None if split is None else _leave_out(split, folder, images)
    tell_model(model, options.model)
    tell_device(options.device)
    if prepared is None or images is not folder:
        prepared = _prepare(images, source, options, explainer, split, store)
    concepts, split, usable = prepared
    recorded = _record(model, images, options, store)
    names = tuple(images.name(row) for row in range(len(images)))
    settings = _settings(replace(options, model=model.name), explainer, source)
    settings["preprocessing"] = _tell_preprocessing(model)
    for layer, activations in recorded.items():
        own = {**settings, "output": taken[layer]}
        run = Run(activations, concepts, split, image_names=names, settings=own, contents=contents)
        explain_and_save(outs[layer], run, explainer, usable)
        _print_next(outs[layer], options)


def _record(
    model: VisionModel, images: Images, options: ExplainOptions, store: Store | None
) -> dict[str, ActivationMatrix]:
    with remarked():  # look_at_layers has said it
        return with_store(
            store,
            lambda store: record_layers(
                model,
                options.layers,
                images,
                pool=cast(Any, options.pool),
                channels=cast(Any, options.channels),
                token=options.token,
                output=options.output,
                batch_size=options.batch_size,
                workers=options.workers,
                store=store,
            ),
        )


def _units(options: ExplainOptions) -> Unit:
    return choose_units(None, cast(Any, options.pool), cast(Any, options.channels), options.token, options.output)


def _tell_preprocessing(model: VisionModel) -> dict[str, str | None]:
    """Return in words how pictures become inputs, and the digest that stands for it in the store's keys."""
    try:
        digest = content_of(model.preprocess, "preprocess")
    except UnknownContentError:
        digest = None
    return {"what": describe_preprocess(model.preprocess), "sha256": digest}


def explain_and_save(
    out: Path, run: Run, explainer: Explainer, usable: Usable | None = None
) -> tuple[Explanations, float]:
    """Save what was recorded, explain it, save that too, and say it in a few lines; returns also the seconds."""
    save_run(out, run)
    started = time.perf_counter()
    explanations = explainer.explain(run.activations, run.concepts, run.split, usable=usable)
    seconds = time.perf_counter() - started
    save_explanations(out, explanations)
    print("\n".join(map(printable, summary(explanations, run).split("\n"))))
    print(f"  {seconds:.1f} s ({seconds / max(len(explanations), 1) * 1000:.1f} ms per neuron), saved in {out}")
    return explanations, seconds


def summary(explanations: Explanations, run: Run) -> str:
    """Describe a layer's explanations in a few lines: how many, what they are worth, and what took no part."""
    explained, recorded = explanations.n_with("explained"), run.activations.select(explanations.neurons)
    quality = f", {explanations.mean_terms:.2f} terms each, {_selected(explanations)}" if explained else ""
    n_dead, n_neurons = int(recorded.is_dead.sum()), len(explanations)
    dropped = explanations.dropped or ()
    lines = [
        f"layer {explanations.layer}: {explained} of {n_neurons} neurons explained{quality}; "
        f"{explanations.n_with('empty')} without a fitting concept, "
        f"{explanations.n_with('constant')} constant on the training images",
        f"  {n_dead} of {n_neurons} neurons dead ({100 * n_dead / max(n_neurons, 1):.1f} %): "
        f"activation below {DEAD_BELOW} on all {recorded.n_images:,} images",
        f"  {run.concepts.n_concepts - len(dropped)} of {run.concepts.n_concepts} concepts used"
        + (f"; {len(dropped)} dropped, all of them in dropped.csv" if dropped else ""),
    ]
    return "\n".join([*lines, *(f"    {line}" for line in tell_dropped(dropped))])


def _selected(explanations: Explanations) -> str:
    """Return the mean validation correlation ± its standard error over neurons; it chose the terms."""
    known = [item.val_correlation for item in explanations if item.val_correlation is not None]
    if not known:
        return "no val correlation"
    error = f" ± {statistics.stdev(known) / len(known) ** 0.5:.4f}" if len(known) > 1 else ""
    return f"val correlation {statistics.fmean(known):.4f}{error}, selected"


def _check_options(options: ExplainOptions) -> None:
    """Check what needs neither files nor the model."""
    check_choice("concepts", options.concepts, ("labels", "text"))
    text_only = {name: getattr(options, name) for name in ("vocabulary", "encoder", "calibration", "template")}
    given = [f"--{name}" for name, value in text_only.items() if value]
    if options.concepts == "labels" and given:
        raise ValueError(f"{given[0]} is of no use with concepts from labels. Add --concepts text, or leave it out.")
    _units(options)
    check_at_least("seed", options.seed, 0)
    check_at_least("batch_size", 1 if options.batch_size is None else options.batch_size, 1)
    check_at_least("workers", 0 if options.workers is None else options.workers, 0)


def _open_source(options: ExplainOptions, images: ImageFolder) -> ConceptSource:
    """Read groups or words and load the encoder, if one is needed."""
    groups = open_groups(options.groups, images, merge_homonyms=options.merge_homonyms)
    if options.concepts == "labels":
        return LabelConcepts(groups)
    if groups is None and options.class_names in (IMAGENET, IMAGENET_PAPER):
        groups = open_groups(WORDNET, images)  # from the words alone, WordNet would not know the paper's
    vocabulary = read_vocabulary(
        options.vocabulary or VOCABULARY,
        labels=images.label_names or None,
        superclasses=group_names(groups) if groups else None,
    )
    print(f"vocabulary: {vocabulary}")
    encoder = load_encoder(
        options.encoder or ENCODER,
        device=options.device,
        batch_size=options.batch_size,
        trust_remote_code=options.trust_remote_code,
    )
    calibration = find_calibration(options.calibration, encoder)
    return TextConcepts(vocabulary.words, encoder, calibration, options.template or ("{}",))


def _print_next(out: Path, options: ExplainOptions) -> None:
    """Print the command that scores, with a simulator that is another model than what explains and is explained."""
    encoder = None if options.concepts == "labels" else options.encoder or ENCODER
    simulator, note = suggest_judge(options.model, encoder)
    print(f"Next: linexp score {shlex.quote(str(out))} --simulator {simulator}" + (f"\n  ({note})" if note else ""))


def _prepare(
    images: Images,
    source: ConceptSource,
    options: ExplainOptions,
    explainer: Explainer,
    split: Split | None,
    store: Store | None = None,
) -> tuple[ConceptMatrix, Split, Usable]:
    """Describe and split the images, and find the concepts that the explainer can use."""
    concepts = (
        with_store(store, lambda store: source.describe(images, store=store))
        if isinstance(source, TextConcepts)
        else source.describe(images)
    )
    split = Split.random(len(images), options.seed) if split is None else split
    return concepts, split, find_usable(concepts, split, explainer.min_activity)  # refuses if none is of use


def _leave_out(split: Split, folder: Images, images: Images) -> Split:
    """Return the split of the pictures that are left where broken ones were left out, whose rows a file counts too."""
    if not isinstance(images, ImageSubset) or len(images) == len(folder):
        return split
    place = {row: number for number, row in enumerate(images.rows)}
    parts = (split.train, split.val, split.test)
    return Split(*([place[row] for row in rows.tolist() if row in place] for rows in parts))


def _choose_folders(options: ExplainOptions) -> dict[str, Path]:
    """Return each layer's folder, writable."""
    if len(options.layers) == 1:
        return {options.layers[0]: options.out}
    # A model can call a layer "../x": quoted, it stays below --out.
    return {layer: check_writable_folder(options.out / quote(layer, safe="")) for layer in options.layers}


def _settings(options: ExplainOptions, explainer: Explainer, source: ConceptSource) -> dict[str, Any]:
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    del plain["out"], plain["store"]  # so that a result can be moved, and two runs compared
    if options.split is not None:
        plain["seed"] = None  # nothing was drawn
    if isinstance(source, TextConcepts):
        plain |= {"encoder": source.encoder.name, "calibration": asdict(source.calibration)}
        plain |= {"vocabulary": options.vocabulary or VOCABULARY, "template": source.templates}
        asked = options.encoder or ENCODER
        if not same_model(asked, source.encoder.name):  # a function of the user's, which calls itself as it likes
            plain["encoder_asked"] = asked
    return {**plain, "explainer": describe_explainer(explainer)}
