"""From what was recorded and described to explanations in a folder, and what is said of them."""

from __future__ import annotations

import shlex
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from linexp._internal.checks import listing
from linexp._internal.files import check_writable_folder
from linexp.concepts import ConceptSource, PixelConcepts, TextConcepts
from linexp.explainers import (
    Explainer,
    SharpnessChoice,
    Usable,
    choose_sharpness,
    describe_explainer,
    find_usable,
    fit_links,
)
from linexp.explanations import Explanations, tell_dropped
from linexp.forward import record_layers, remarked
from linexp.forward.engines import with_precision
from linexp.forward.units import Directions, SparseAutoencoder, Unit
from linexp.images import Images, ImageSubset, contents_of
from linexp.matrix import DEAD_BELOW, ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Regions, Split
from linexp.models import VisionModel, describe_preprocess
from linexp.results.folder import save_explanations, save_run
from linexp.results.judges import suggest_judge
from linexp.results.run import Run
from linexp.store import Store, UnknownContentError, content_of, with_store

RARE_BELOW = 20
"""Latents that are active on fewer images are rare: a correlation over so few is chance."""


class _Unread(ImageSubset):
    """Pictures of which only the labels are looked at: a fingerprint would open every file."""

    @property
    def fingerprint(self) -> str:
        """Nothing: nobody has read them."""
        return ""


class Prepared(NamedTuple):
    """What explaining needs beside the recorded activations; every layer and every method can share it."""

    concepts: ConceptMatrix
    split: Split
    usable: Usable


def prepare(
    images: Images,
    source: ConceptSource,
    explainer: Explainer,
    split: Split | None,
    seed: int = 0,
    store: Store | None = None,
) -> Prepared:
    """Describe and split the images, and find the concepts that the explainer can use.

    Raises
    ------
    ValueError
        The labels are wrong, or no concept is of use.
    """
    concepts = (
        with_store(store, lambda store: source.describe(images, store=store))
        if isinstance(source, TextConcepts)
        else source.describe(images)
    )
    split = Split.random(len(images), seed) if split is None else split
    return Prepared(concepts, split, find_usable(concepts, split, explainer.min_activity))


def prepare_unread(
    images: Images, source: ConceptSource, explainer: Explainer, split: Split | None, seed: int
) -> Prepared:
    """Prepare by labels before any picture is opened, so that the concepts do not say yet of which images they are."""
    return prepare(_Unread(images, range(len(images))), source, explainer, split, seed)


def prepare_regions(
    images: Images,
    source: ConceptSource,
    explainer: Explainer,
    split: Split | None,
    seed: int,
    regions: Mapping[str, Regions],
) -> dict[str, Prepared]:
    """Prepare each layer by its own regions; layers of one grid share what the masks say, which are read once.

    Raises
    ------
    ValueError
        A mask does not go with its picture, or no concept is of use.
    TypeError
        The concepts have no place in the picture.
    """
    if not isinstance(source, PixelConcepts):
        raise TypeError(f"{type(source).__name__} does not say where concepts are. Give PixelConcepts.")
    split = Split.random(len(images), seed) if split is None else split
    described = {one.fingerprint: one for one in regions.values()}
    made: dict[str | None, Prepared] = {}
    for known, one in described.items():
        concepts, rows = source.describe(images, one, show_progress=True), split.for_regions(one)
        made[known] = Prepared(concepts, rows, find_usable(concepts, rows, explainer.min_activity))
    return {layer: made[one.fingerprint] for layer, one in regions.items()}


def record_runs(
    model: VisionModel,
    layers: Mapping[str, str | None],
    images: Images,
    units: Unit,
    prepared: Mapping[str, Prepared],
    settings: Mapping[str, Any],
    explainer: Explainer,
    store: Store | None = None,
) -> dict[str, Run]:
    """Record layers in one pass, each with everything needed to explain it.

    ``layers`` has the tensor that is taken of each; see ``look_at_layers``. ``units`` is what ``settings`` say of
    units, opened; ``prepared`` is what each layer needs. What else recording needs is read from ``settings``, and all
    of these are kept with the result, as are the explainer's.
    """
    how: dict[str, Any] = {"units": units, "batch_size": settings["batch_size"], "workers": settings["workers"]}
    how["engine"] = with_precision(settings["engine"], settings["precision"])
    contents = tuple(content.hex() for content in contents_of(images))
    with remarked():  # look_at_layers has said it
        recorded = with_store(store, lambda store: record_layers(model, list(layers), images, store=store, **how))
    told = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    if isinstance(units, (SparseAutoencoder, Directions)):
        told["units_content"] = units.key  # so that another file of that name is noticed
    told |= {"model": model.name, "explainer": describe_explainer(explainer), "preprocessing": _preprocessing(model)}
    called = tuple(images.name(row) for row in range(len(images)))
    return {
        layer: Run(
            activations,
            _named(prepared[layer].concepts, images),
            prepared[layer].split,
            image_names=called,
            settings={**told, "output": layers[layer]},
            contents=contents,
        )
        for layer, activations in recorded.items()
    }


def _named(concepts: ConceptMatrix, images: Images) -> ConceptMatrix:
    """Return concepts that say of which images they are; labels were looked at before the pictures."""
    return concepts if concepts.images else replace(concepts, images=images.fingerprint)


def explain_run(
    out: Path,
    run: Run,
    explainer: Explainer,
    usable: Usable | None = None,
    *,
    link: bool = False,
    beside: Path | None = None,
) -> tuple[Explanations, float]:
    """Save what was recorded, explain it, and save that too; returns also the seconds it took to explain.

    ``beside`` is as in ``save_run``.
    """
    save_run(out, run, beside=beside)
    started = time.perf_counter()
    often = _often_active(run)
    explanations = explainer.explain(often, run.concepts, run.split, usable=usable)
    if link:
        explanations = fit_links(explanations, often, run.concepts, run.split)
    seconds = time.perf_counter() - started
    save_explanations(out, explanations)
    return explanations, seconds


def choose_run(run: Run, explainer: Explainer, usable: Usable | None = None) -> tuple[Run, SharpnessChoice]:
    """Return a run in words with the sharpness that explains its neurons best, and why it is that one."""
    assert isinstance(run.concepts, EmbeddedConceptMatrix)
    choice = choose_sharpness(run.activations, run.concepts, run.split, explainer, usable=usable)
    sharp = run.concepts.with_sharpness(choice.sharpness)
    return replace(run, concepts=sharp, settings={**run.settings, "sharpness": choice.sharpness}), choice


def _often_active(run: Run) -> ActivationMatrix:
    """Return the units that are explained: of an autoencoder's latents those active on enough images."""
    if not str(run.settings.get("units", "")).startswith("sae:"):
        return run.activations
    n_active = (run.activations.values > 0).sum(0).tolist()
    often = [neuron for neuron, n in zip(run.activations.neurons, n_active, strict=True) if n >= RARE_BELOW]
    if not often:
        raise ValueError(
            f"None of the {run.activations.n_neurons} latents of layer '{run.activations.layer}' is active on "
            f"{RARE_BELOW} {run.rows_are}. Use more images, or an autoencoder that was trained on this layer."
        )
    return run.activations if len(often) == run.activations.n_neurons else run.activations.select(often)


def _tell_rare(explanations: Explanations, run: Run) -> list[str]:
    explained = set(explanations.neurons)
    rare = [neuron for neuron in run.activations.neurons if neuron not in explained]
    if not rare:
        return []
    told = f"{len(rare)} of {run.activations.n_neurons} latents are active on fewer than {RARE_BELOW} {run.rows_are}"
    return [f"  {told}, and not explained: {listing(rare)}"]


def tell_explanations(explanations: Explanations, run: Run) -> str:
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
        f"activation below {DEAD_BELOW} on all {recorded.n_images:,} {run.rows_are}",
        f"  {run.concepts.n_concepts - len(dropped)} of {run.concepts.n_concepts} concepts used"
        + (f"; {len(dropped)} dropped, all of them in dropped.csv" if dropped else ""),
        *_tell_rare(explanations, run),
    ]
    n_linked = sum(item.link is not None for item in explanations)
    linked = [f"  {n_linked} of {explained} explanations are better with a monotone link"] if n_linked else []
    return "\n".join([*lines, *(f"    {line}" for line in tell_dropped(dropped)), *linked])


def _selected(explanations: Explanations) -> str:
    """Return the mean validation correlation ± its standard error over neurons; it chose the terms."""
    known = [item.val_correlation for item in explanations if item.val_correlation is not None]
    if not known:
        return "no val correlation"
    error = f" ± {statistics.stdev(known) / len(known) ** 0.5:.4f}" if len(known) > 1 else ""
    return f"val correlation {statistics.fmean(known):.4f}{error}, selected"


def tell_next(out: Path, run: Run) -> str:
    """Return the command that scores, with a simulator that is another model than what explains and is explained."""
    if run.activations.regions is not None:  # models judge whole images
        return f"Next: linexp score {shlex.quote(str(out))}"
    encoder = run.settings["encoder"] if run.settings["concepts"] == "text" else None
    simulator, note = suggest_judge(run.settings["model"], encoder)
    return f"Next: linexp score {shlex.quote(str(out))} --simulator {simulator}" + (f"\n  ({note})" if note else "")


def choose_folders(out: Path, layers: Sequence[str]) -> dict[str, Path]:
    """Return each layer's folder, writable."""
    if len(layers) == 1:
        return {layers[0]: out}
    # A model can call a layer "../x": quoted, it stays below --out.
    return {layer: check_writable_folder(out / quote(layer, safe="")) for layer in layers}


def leave_out(split: Split, folder: Images, images: Images) -> Split:
    """Return the split of the pictures that are left where broken ones were left out, whose rows a file counts too."""
    if not isinstance(images, ImageSubset) or len(images) == len(folder):
        return split
    place = {row: number for number, row in enumerate(images.rows)}
    parts = (split.train, split.val, split.test)
    return Split(*([place[row] for row in rows.tolist() if row in place] for rows in parts))


def _preprocessing(model: VisionModel) -> dict[str, str | None]:
    """Return in words how pictures become inputs, and the digest that stands for it in the store's keys."""
    try:
        digest = content_of(model.preprocess, "preprocess")
    except UnknownContentError:
        digest = None
    return {"what": describe_preprocess(model.preprocess), "sha256": digest}
