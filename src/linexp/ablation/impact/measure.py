"""Measure what a classifier loses without each neuron of a layer, image by image (Section 2 of the paper)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp._internal.checks import check_at_least, check_choice, check_whole
from linexp.ablation.impact.impact import Impact
from linexp.ablation.impact.layer import Setting, measure_layer, open_layer
from linexp.ablation.labels import check_classes, check_labels
from linexp.ablation.losses import RESOLUTIONS, Precision
from linexp.ablation.temperature import fit_temperature
from linexp.forward import (
    BATCH_SIZE_CPU,
    BATCH_SIZE_CUDA,
    CORES_PER_DECODER,
    Inputs,
    Output,
    find_layers,
    on_device,
    open_module,
)
from linexp.forward.engines import Engine, find_engine, takes_fold
from linexp.forward.partial import BehindLayer, StoredBatches
from linexp.forward.units import ChannelAxis, Pool, Unit, choose_units
from linexp.matrix import Split
from linexp.models import VisionModel
from linexp.store import Store

Labels = Sequence[int] | Tensor | Literal["own"] | None
N_EXAMPLES = 3
# With so many validation images, a network that is right on none of them has been given other labels than its own.
_ENOUGH = 50
# A tenth of them are two: as few as a split may have.
_FEWEST = 20


@takes_fold
def impact(
    model: nn.Module | VisionModel,
    layer: str,
    images: Any,
    *,
    labels: Labels = None,
    neurons: Sequence[int] | int | None = None,
    n_images: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
    units: Unit | None = None,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
    preprocess: Callable[[Image], Tensor] | None = None,
    precision: Precision = "float32",
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    engine: Engine | str = "auto",
    show_progress: bool = True,
    store: Store | None = None,
) -> Impact:
    """Measure the impact of the neurons of one layer; see ``impact_layers``.

    Parameters
    ----------
    layer
        Dotted name from ``model.named_modules()``, such as "layer4" or "blocks.10.mlp".
    neurons
        Which of its neurons to remove; a number: so many, drawn by ``seed``. Default: all.
    model, images, labels, n_images, seed, temperature, units, pool, channels, token, output, preprocess, precision
        As in ``impact_layers``.
    device, batch_size, engine, show_progress, store
        As in ``impact_layers``.
    """
    found = impact_layers(
        model,
        [layer],
        images,
        labels=labels,
        neurons=neurons if neurons is None or isinstance(neurons, int) else {layer: neurons},
        n_images=n_images,
        seed=seed,
        temperature=temperature,
        units=units,
        pool=pool,
        channels=channels,
        token=token,
        output=output,
        preprocess=preprocess,
        precision=precision,
        device=device,
        batch_size=batch_size,
        engine=engine,
        show_progress=show_progress,
        store=store,
    )
    return found[layer]


@takes_fold
def impact_layers(
    model: nn.Module | VisionModel,
    layers: Sequence[str],
    images: Any,
    *,
    labels: Labels = None,
    neurons: Mapping[str, Sequence[int]] | int | None = None,
    n_images: int | None = None,
    seed: int = 0,
    temperature: float | None = None,
    units: Unit | None = None,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
    preprocess: Callable[[Image], Tensor] | None = None,
    precision: Precision = "float32",
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    engine: Engine | str = "auto",
    show_progress: bool = True,
    store: Store | None = None,
) -> dict[str, Impact]:
    """Remove every neuron of some layers, one at a time, and measure what that does to each image's answer and loss.

    The whole model runs once on each image; behind it, only the part behind the layer runs, once for each neuron that
    is not 0 all over the image, many at a time. Where only pooling and a linear head follow, nothing runs at all. The
    model comes back as it was, also after an error or Ctrl-C.

    Parameters
    ----------
    model
        A classifier that returns logits [images, classes].
    layers
        Dotted names from ``model.named_modules()``.
    images
        As in ``record_layers``.
    labels
        Class of each image, as a position in the model's output. "own": the model's own answer to each image, for
        images without labels. Default: the labels of ``images``.
    neurons
        Which neurons of each layer to remove; a number: so many of each layer, drawn by ``seed``. Default: all.
    n_images
        Measure on so many of the images, drawn by ``seed``. Default: all.
    seed
        Of everything that is drawn, the validation images of the temperature included.
    temperature
        What logits are divided by before the loss. Default: what minimises the loss on a tenth of the images; 1 with
        the model's own answers.
    units, pool, channels, token, output
        What of a layer's output is a unit, as in ``record_layers``: what is read of it orders the images. A channel, or
        a feature of a token, is removed at all positions.
    preprocess
        As in ``record_layers``.
    precision
        "float32"; or "bfloat16" or "float16", in which operations run that torch's autocast thinks fit for it.
    device
        Where to run. Default: where the model is.
    batch_size
        Images at a time before their neurons are removed. Default: 8 on a CPU, 64 on a GPU.
    engine
        How the model is run; as in ``record_layers``. What it changes in the model itself serves the part behind the
        layer too.
    show_progress
        Show progress on standard error.
    store
        Where to keep what is done: what was interrupted goes on there. Default: nothing is stored.

    Returns
    -------
    dict
        From layer name to its ``Impact``.

    Raises
    ------
    ValueError
        There are no labels, or one lies outside the logits; the model is no classifier, has no such layer or neuron, or
        the layer does not reach the logits, runs several times, or changes an input in place that is read again; none
        of the answers is right; a loss without a neuron is not finite.

    References
    ----------
    Paper, Section 2.1; Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, ICML.
    """
    module, _ = open_module(model)
    found, runs = find_layers(module, layers), find_engine(engine)
    check_choice("precision", precision, list(RESOLUTIONS))
    check_at_least("batch_size", 1 if batch_size is None else batch_size, 1)
    if temperature is not None and not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}. It must be above 0; None fits it.")
    chosen = choose_units(units, pool, channels, token, output)
    with on_device(module, device) as place:
        size = batch_size or (BATCH_SIZE_CUDA if place.type == "cuda" else BATCH_SIZE_CPU)
        inputs = Inputs(images, model, preprocess, size)
        rows = _choose_rows(len(inputs.images), n_images, seed)
        classes = None
        if isinstance(labels, str):
            check_choice("labels", labels, ("own",))
        else:
            classes = check_labels(labels, inputs.images, len(inputs.images))[rows]
        examples = torch.cat(list(inputs.batches(rows[:N_EXAMPLES]))).to(place)
        # Says what is wrong with a layer, of any of them before the first is measured.
        cuts = [BehindLayer(module, name, examples, cut=False, output=chosen.output) for name in found]
        if classes is not None:
            check_classes(labels, classes, inputs.images, cuts[0].n_classes)
        tasks = [open_layer(cut, examples, chosen, neurons, seed) for cut in cuts]
        if temperature is None:
            temperature = 1.0 if classes is None else _fit(cuts[0], inputs, rows, classes, seed, place)
        workers = None if place.type == "cuda" else (os.cpu_count() or 1) // CORES_PER_DECODER
        how = chosen, temperature, precision, runs, show_progress, store
        on = Setting(model, module, inputs, rows, classes, inputs.of(rows, workers), examples, *how)
        return {task.name: measure_layer(task, on) for task in tasks}


def _choose_rows(n_all: int, n_images: int | None, seed: int) -> Int[Tensor, " images"]:
    check_whole("seed", seed, 0)
    if n_images is None:
        return torch.arange(n_all)
    check_whole("n_images", n_images, 1)
    if n_images > n_all:
        raise ValueError(f"There are {n_all:,} images, not {n_images:,}. Ask for fewer (n_images, --n-images).")
    return torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(n_all)[:n_images]))


def _fit(cut: BehindLayer, inputs: Inputs, rows: Tensor, classes: Tensor, seed: int, place: torch.device) -> float:
    """Fit the temperature on the validation images of a split."""
    if len(rows) < _FEWEST:
        raise ValueError(
            f"{len(rows)} images are too few to fit a temperature to. Give one, such as 1 (temperature=,"
            f" --temperature), or at least {_FEWEST} images."
        )
    val = Split.random(len(rows), seed).val
    logits = StoredBatches(cut, lambda start: inputs.batches(rows[val][start:]), place, keep_bytes=0).logits()
    if len(val) >= _ENOUGH and not bool((logits.argmax(1) == classes[val]).any()):
        raise ValueError(
            f"The model gives none of {len(val):,} images its label, so it has no answers to lose. "
            "Check that the labels are positions in the model's output (labels=, --outputs)."
        )
    # Five digits: the rest is the network's rounding, which differs with the number of threads, and it is in the key of
    # what is stored.
    return float(f"{fit_temperature(logits, classes[val]):.5g}")
