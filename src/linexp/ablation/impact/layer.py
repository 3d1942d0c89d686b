"""One layer's measurement: by its linear head, or by the network behind it, shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from linexp._internal.progress import Advance, progress_bar
from linexp.ablation.impact.head import HEAD_RESOLUTION, remove_before_head
from linexp.ablation.impact.impact import Impact
from linexp.ablation.impact.network import RESOLUTIONS, NetworkRemoval, Precision
from linexp.ablation.losses import judge
from linexp.forward import Inputs, Source, choose_tensor, network_key, record, remarked
from linexp.forward.engines import Engine, Runner
from linexp.forward.partial import BehindLayer, LinearTail
from linexp.forward.units import Unit
from linexp.matrix import ActivationMatrix, check_finite_activations
from linexp.models import VisionModel
from linexp.store import Keep, Key, Parts, Store, content_of, gather

# Pairs of an image and a neuron that run at a time, and how many bytes their layer outputs may have together: what
# comes behind the layer needs several times that.
_STACK_CPU, _STACK_CUDA = 64, 1024
_STACK_BYTES = 2**28
# Pairs in a shard of the store, about: a kill shall not cost more than a minute or two.
_PAIRS = 20_000
# What the whole module is called beside its layer: no layer has this name.
_WHOLE = ""
_MATRICES = ("activations", "losses", "correct", "loss_added", "answers_lost")


@dataclass(frozen=True, eq=False)
class Layer:
    """What is measured.

    Parameters
    ----------
    name
        Of the layer.
    module
        The layer itself.
    n_neurons
        How many it has.
    neurons
        Which of them are removed.
    tail
        The linear head that alone follows it, if one does.
    """

    name: str
    module: nn.Module
    n_neurons: int
    neurons: tuple[int, ...]
    tail: LinearTail | None


@dataclass(frozen=True)
class How:
    """How it is measured; see ``impact_layers``."""

    units: Unit
    temperature: float
    precision: Precision
    device: torch.device
    workers: int | None
    engine: Engine
    show_progress: bool
    store: Store | None


@dataclass(frozen=True, eq=False)
class What:
    """On what it is measured.

    Parameters
    ----------
    model
        The classifier.
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
    inputs: Inputs
    rows: Int[Tensor, " images"]
    classes: Int[Tensor, " images"] | None
    source: Source
    examples: Tensor

    @property
    def module(self) -> nn.Module:
        """The model itself."""
        return self.model.module if isinstance(self.model, VisionModel) else self.model


def measure_layer(layer: Layer, what: What, how: How) -> Impact:
    """Measure one layer in the faster of two ways."""
    tail = layer.tail if how.precision == "float32" else None
    found = _by_network(layer, what, how) if tail is None else _by_head(layer, tail, what, how)
    return Impact(
        activations=ActivationMatrix(found["activations"], layer.neurons, layer.name, what.source.fingerprint),
        losses=found["losses"],
        correct=found["correct"],
        loss_added=found["loss_added"],
        answers_lost=found["answers_lost"],
        temperature=how.temperature,
        resolution=RESOLUTIONS[how.precision] if tail is None else HEAD_RESOLUTION,
        linear=tail is not None,
        n_layer_neurons=layer.n_neurons,
    )


def _by_head(layer: Layer, tail: LinearTail, what: What, how: How) -> dict[str, Tensor]:
    seen = how.units.linear or how.units
    whole = _record(layer, what, how, seen)
    logits = tail.logits(whole.values)
    labels = logits.argmax(1) if what.classes is None else what.classes
    chosen = whole.select(layer.neurons).values
    with progress_bar("removing", len(layer.neurons), "neurons", show=how.show_progress) as advance:
        added, lost = remove_before_head(tail, logits, labels, chosen, layer.neurons, how.temperature, advance)
    losses, correct = judge(logits, labels, how.temperature)
    if seen is not how.units:
        chosen = _record(layer, what, how, how.units).select(layer.neurons).values
    return {
        "activations": chosen,
        "losses": losses,
        "correct": correct,
        "loss_added": added,
        "answers_lost": lost,
    }


def _record(layer: Layer, what: What, how: How, units: Unit) -> ActivationMatrix:
    with remarked():
        return record(
            what.model,
            layer.name,
            what.inputs.only(what.rows),
            units=units,
            preprocess=what.inputs.preprocess,
            batch_size=what.source.batch_size,
            engine=how.engine,
            show_progress=how.show_progress,
            store=how.store,
        )


def _by_network(layer: Layer, what: What, how: How) -> dict[str, Tensor]:
    n_neurons, size = len(layer.neurons), what.source.batch_size

    def compute(parts: Parts, keep: Keep) -> None:
        with (
            progress_bar("removing", parts.n_rows * n_neurons, "removals", show=how.show_progress) as advance,
            _open_engine(layer, what, how) as runner,
        ):
            removal = _open_removal(layer, what, how, runner.prepare)
            for rows, batch in zip(parts.batches(size), what.source.batches(parts), strict=True):
                keep(_measure_batch(removal, runner.prepare(batch.to(how.device)), rows.start, what, how, advance))

    if how.store is None:
        return gather(what.source.n_images, compute)
    return how.store.fill(_key(layer, what, how), _MATRICES, compute, what=f"impact of '{layer.name}'")


def _open_engine(layer: Layer, what: What, how: How) -> AbstractContextManager[Runner]:
    """Open the engine for what is measured: the layer's neurons, and the logits, which the module itself returns."""
    outputs = {layer.name: how.units.output, _WHOLE: None}

    def read(name: str, output: object, _: int) -> Tensor:
        tensor = choose_tensor(output, outputs[name], name)[1]
        if tensor is None:
            raise ValueError(f"'{name}' returns no tensor.")
        return tensor.detach().clone()

    return how.engine.open(what.module, {layer.name: layer.module, _WHOLE: what.module}, what.examples, read)


def _open_removal(layer: Layer, what: What, how: How, prepare: Callable[[Tensor], Tensor]) -> NetworkRemoval:
    cut = BehindLayer(what.module, layer.name, prepare(what.examples), output=how.units.output)
    one = cut.store(prepare(what.examples)).layer_output[0]
    stack = min(_stack(how.device), max(1, _STACK_BYTES // (one.numel() * one.element_size())))
    return NetworkRemoval(cut, layer.neurons, how.units, how.temperature, stack, how.precision)


def _measure_batch(
    removal: NetworkRemoval, batch: Tensor, start: int, what: What, how: How, advance: Advance
) -> dict[str, Tensor]:
    stored = removal.store(batch)
    rows = slice(start, start + stored.n_images)
    labels = stored.logits.argmax(1).cpu() if what.classes is None else what.classes[rows]
    losses, correct = judge(stored.logits, labels, how.temperature)
    added, lost = removal.remove(stored, labels, advance)
    activations = removal.activations(stored)
    check_finite_activations(
        activations, removal.neurons, removal.behind.name, lambda row: what.source.name(start + row)
    )
    _check_finite_losses(added, removal, lambda row: what.source.name(start + row))
    return {
        "activations": activations,
        "losses": losses,
        "correct": correct,
        "loss_added": added,
        "answers_lost": lost,
    }


def _check_finite_losses(added: Tensor, removal: NetworkRemoval, name: Callable[[int], str]) -> None:
    wrong = torch.nonzero(~torch.isfinite(added))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"Without neuron {removal.neurons[column]} of layer '{removal.behind.name}' the loss on {name(row)} is not "
            "finite. Look at the model's number format (precision, --precision), or leave the neuron out."
        )


def _stack(device: torch.device) -> int:
    return _STACK_CUDA if device.type == "cuda" else _STACK_CPU


def _key(layer: Layer, what: What, how: How) -> Key:
    size = what.source.batch_size
    own = {
        "layer": layer.name,
        "neurons": list(layer.neurons),
        "labels": "own" if what.classes is None else content_of(what.classes, "labels"),
        "temperature": how.temperature,
        "units": how.units.key,
        "engine": how.engine.key,
        "precision": how.precision,
        "stack": _stack(how.device),
    }
    source, shard = what.source, size * max(1, min(128, _PAIRS // len(layer.neurons)) // size)
    return network_key(
        "impact", what.model, own, [layer.name], source.content, source.n_images, size, how.device, shard_rows=shard
    )
