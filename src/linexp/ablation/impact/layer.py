"""One layer's measurement: by its linear head, or by the network behind it, shard by shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from linexp._internal.checks import check_whole, listing
from linexp._internal.progress import Advance, progress_bar
from linexp.ablation.impact.impact import Impact
from linexp.ablation.losses import HEAD_RESOLUTION, RESOLUTIONS, HeadLosses, Network, Precision, judge, stack_on
from linexp.forward import Inputs, Source, choose_tensor, network_key, record, remark_on, remarked, warn_of
from linexp.forward.engines import Engine
from linexp.forward.partial import BehindLayer, LinearTail, find_linear_tail
from linexp.forward.units import Unit
from linexp.matrix import ActivationMatrix, check_finite_activations
from linexp.models import VisionModel
from linexp.store import Keep, Key, Parts, Store, content_of, gather

# Pairs of an image and a neuron in a shard of the store, about: a kill shall not cost more than a minute or two.
_PAIRS = 20_000
# What the whole module is called beside its layer: no layer has this name.
_WHOLE = ""
_MATRICES = ("activations", "losses", "correct", "loss_added", "answers_lost")


@dataclass(frozen=True, eq=False)
class Layer:
    """What is measured: some of a layer's ``n_neurons``; ``tail`` is the linear head that alone follows it, if any."""

    name: str
    module: nn.Module
    n_neurons: int
    neurons: tuple[int, ...]
    tail: LinearTail | None


@dataclass(frozen=True, eq=False)
class Setting:
    """How, and on what, layers are measured; what is not said here is said in ``impact_layers``.

    Parameters
    ----------
    model, module
        The classifier, as it was given and itself.
    inputs
        Its images, of which ``rows`` are measured.
    classes
        Labels of those; ``None``: the model's own answers.
    source
        Batches of those.
    examples
        A few inputs to try things on.
    """

    model: nn.Module | VisionModel
    module: nn.Module
    inputs: Inputs
    rows: Int[Tensor, " images"]
    classes: Int[Tensor, " images"] | None
    source: Source
    examples: Tensor
    units: Unit
    temperature: float
    precision: Precision
    engine: Engine
    show_progress: bool
    store: Store | None


def open_layer(
    cut: BehindLayer, examples: Tensor, units: Unit, neurons: Mapping[str, Sequence[int]] | int | None, seed: int
) -> Layer:
    """Find what there is to know of a layer, say what may be wrong with it, and choose its neurons."""
    stored = cut.store(examples)
    warn_of([remark_on(stored.output.together(stored.output.parts), units.output, cut.name)])
    n_neurons = units.read(stored.layer_output, cut.name, len(examples)).shape[1]
    tail = find_linear_tail(cut, stored, units.linear or units)
    return Layer(cut.name, cut.layer, n_neurons, _choose_neurons(cut.name, n_neurons, neurons, seed), tail)


def _choose_neurons(
    layer: str, n_all: int, neurons: Mapping[str, Sequence[int]] | int | None, seed: int
) -> tuple[int, ...]:
    if isinstance(neurons, int):
        check_whole("neurons", neurons, 1)
        return tuple(sorted(np.random.default_rng(seed).permutation(n_all)[:neurons].tolist()))
    chosen = tuple(range(n_all)) if neurons is None or layer not in neurons else tuple(neurons[layer])
    wrong = [neuron for neuron in chosen if not 0 <= neuron < n_all]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        asked = f"neuron {wrong[0]}" if wrong else f"the neurons {listing(chosen, 8) or 'of an empty list'}"
        raise ValueError(f"Layer '{layer}' has {n_all} neurons (0 to {n_all - 1}), not {asked}. Name each once.")
    return chosen


def measure_layer(layer: Layer, on: Setting) -> Impact:
    """Measure one layer in the faster of two ways."""
    tail = layer.tail if on.precision == "float32" else None
    found: dict[str, Any] = _by_network(layer, on) if tail is None else _by_head(layer, tail, on)
    found["activations"] = ActivationMatrix(found["activations"], layer.neurons, layer.name, on.source.fingerprint)
    return Impact(
        **found,
        temperature=on.temperature,
        resolution=RESOLUTIONS[on.precision] if tail is None else HEAD_RESOLUTION,
        linear=tail is not None,
        n_layer_neurons=layer.n_neurons,
    )


def _by_head(layer: Layer, tail: LinearTail, on: Setting) -> dict[str, Tensor]:
    seen = on.units.linear or on.units
    whole = _record(layer, on, seen)
    logits = tail.logits(whole.values)
    labels = logits.argmax(1) if on.classes is None else on.classes
    chosen = whole.select(layer.neurons).values
    losses = HeadLosses.of(tail, logits, labels, chosen, layer.neurons, on.temperature)
    with progress_bar("removing", len(layer.neurons), "neurons", show=on.show_progress) as advance:
        removed = losses.remove(advance)
    if seen is not on.units:
        chosen = _record(layer, on, on.units).select(layer.neurons).values
    return dict(zip(_MATRICES, (chosen, *judge(logits, labels, on.temperature), *removed), strict=True))


def _record(layer: Layer, on: Setting, units: Unit) -> ActivationMatrix:
    with remarked():
        return record(
            on.model,
            layer.name,
            on.inputs.only(on.rows),
            units=units,
            preprocess=on.inputs.preprocess,
            batch_size=on.source.batch_size,
            engine=on.engine,
            show_progress=on.show_progress,
            store=on.store,
        )


def _by_network(layer: Layer, on: Setting) -> dict[str, Tensor]:
    size, output = on.source.batch_size, on.units.output
    outputs = {layer.name: output, _WHOLE: None}

    def read(name: str, returned: object, _: int) -> Tensor:
        tensor = choose_tensor(returned, outputs[name], name)[1]
        if tensor is None:
            raise ValueError(f"'{name}' returns no tensor.")
        return tensor.detach().clone()

    def compute(parts: Parts, keep: Keep) -> None:
        # The engine's test is on what is measured: the layer's neurons, and the logits, which the module returns.
        modules, n_pairs = {layer.name: layer.module, _WHOLE: on.module}, parts.n_rows * len(layer.neurons)
        with (
            progress_bar("removing", n_pairs, "removals", show=on.show_progress) as advance,
            on.engine.in_torch.open(on.module, modules, on.examples, read) as runner,
        ):
            behind = BehindLayer(on.module, layer.name, runner.prepare(on.examples), output=output)
            network = Network(behind, on.units, on.temperature, on.precision)
            for rows, batch in zip(parts.batches(size), on.source.batches(parts), strict=True):
                batch = runner.prepare(batch.to(on.examples.device))
                keep(_remove(network, batch, rows.start, layer, on, advance))

    if on.store is None:
        return gather(on.source.n_images, compute)
    return on.store.fill(_key(layer, on), _MATRICES, compute, what=f"impact of '{layer.name}'")


def _remove(
    network: Network, batch: Tensor, start: int, layer: Layer, on: Setting, advance: Advance
) -> dict[str, Tensor]:
    """Remove each neuron from each image of a batch in which it is not 0 all over already."""
    stored, neurons = network.store(batch), list(layer.neurons)
    activations = on.units.read(stored.layer_output, layer.name, stored.n_images).cpu()[:, neurons]
    check_finite_activations(activations, layer.neurons, layer.name, lambda row: on.source.name(start + row))
    labels = stored.logits.argmax(1).cpu() if on.classes is None else on.classes[start : start + stored.n_images]
    losses, correct = judge(stored.logits, labels, on.temperature)
    active = on.units.active(stored.layer_output).cpu()[:, neurons]
    columns, images = torch.nonzero(active.T, as_tuple=True)  # neuron by neuron: few are written at a time
    advance(active.numel() - len(images))
    names = torch.tensor(neurons)[columns]
    after, right = network.judge(stored, labels, images, names, advance=advance)
    added, lost = torch.zeros(active.shape, dtype=torch.float32), torch.zeros(active.shape, dtype=torch.int8)
    added[images, columns] = (after - losses[images]).float()
    lost[images, columns] = correct[images].to(torch.int8) - right.to(torch.int8)
    wrong = torch.nonzero(~torch.isfinite(added)).tolist()
    if wrong:
        raise ValueError(
            f"Without neuron {neurons[wrong[0][1]]} of layer '{layer.name}' the loss on "
            f"{on.source.name(start + wrong[0][0])} is not finite. "
            "Look at the model's number format (precision, --precision), or leave the neuron out."
        )
    return dict(zip(_MATRICES, (activations, losses, correct, added, lost), strict=True))


def _key(layer: Layer, on: Setting) -> Key:
    size, source, device = on.source.batch_size, on.source, on.examples.device
    own = {
        "layer": layer.name,
        "neurons": list(layer.neurons),
        "labels": "own" if on.classes is None else content_of(on.classes, "labels"),
        "temperature": on.temperature,
        "units": on.units.key,
        "engine": on.engine.key,
        "precision": on.precision,
        "stack": stack_on(device),
    }
    shard = size * max(1, min(128, _PAIRS // len(layer.neurons)) // size)
    return network_key(
        "impact", on.model, own, [layer.name], source.content, source.n_images, size, device, shard_rows=shard
    )
