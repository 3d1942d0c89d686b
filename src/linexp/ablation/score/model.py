"""From a model, a layer and images to what ablation scoring computes with; what can be wrong is said here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp.ablation.labels import check_classes, check_labels
from linexp.ablation.losses import HeadLosses, Losses, Network, NetworkLosses, judge, stack_on
from linexp.ablation.score.scores import COLUMNS
from linexp.ablation.temperature import fit_temperature
from linexp.forward import BATCH_SIZE_CPU, BATCH_SIZE_CUDA, Inputs, network_key, open_module
from linexp.forward.partial import BehindLayer, LinearTail, StoredBatches, find_linear_tail
from linexp.forward.units import Replace, Unit
from linexp.matrix import ActivationMatrix, Split
from linexp.models import VisionModel
from linexp.store import Key, content_of

ReplaceChoice = Literal["auto", "set", "shift"]
_N_EXAMPLES = 3
_TOLERANCE = 1e-3


class Opened(NamedTuple):
    """Losses on the validation and the test images, and on which share of the latter the model is right."""

    losses: tuple[Losses, Losses]
    temperature: float
    accuracy: float


class Cut(NamedTuple):
    """A model that was cut at a layer, on images and labels that fit it; ``rows`` are of val and test.

    ``has_pattern``: what comes behind the layer can tell apart the positions that were pooled into one activation.
    """

    inputs: Inputs
    behind: BehindLayer
    device: torch.device
    units: Unit
    tail: LinearTail | None
    n_neurons: int
    classes: Int[Tensor, " images"]
    rows: tuple[Int[Tensor, " images"], Int[Tensor, " images"]]
    has_pattern: bool

    def replace(self, asked: ReplaceChoice) -> Replace:
        """Return how activations are put in: "auto" keeps the pattern where there is one."""
        if asked != "auto":
            return asked
        return "shift" if self.has_pattern else "set"

    def is_exact(self, replace: Replace) -> bool:
        """Whether putting in the recorded activations themselves changes nothing."""
        return replace == "shift" or not self.has_pattern

    def key(
        self, settings: dict[str, Any], simulated: ActivationMatrix, recorded: ActivationMatrix, shard_rows: int
    ) -> Key:
        """Return the key of the scores of all simulated neurons; of the images, those scored on count.

        Raises
        ------
        UnknownContentError
            The model or the preprocessing holds something whose content cannot be known.
        """
        rows = torch.cat(self.rows)
        source = self.inputs.of(rows)
        own = {
            "settings": settings | {"units": self.units.key},
            "columns": list(COLUMNS),
            "layer": recorded.layer,
            "neurons": list(simulated.neurons),
            "simulated": content_of(simulated.values[rows], "simulated"),
            "recorded": [list(recorded.neurons), content_of(recorded.values[rows], "recorded")],
            "labels": content_of(self.classes[rows], "labels"),
            "parts": [len(part) for part in self.rows],
            "stack": stack_on(self.device),
        }
        of, n_rows, size = [recorded.layer], simulated.n_neurons, source.batch_size
        return network_key(
            "ablation", self.inputs.model, own, of, source.content, n_rows, size, self.device, shard_rows=shard_rows
        )


def cut_model(
    units: Unit,
    recorded: ActivationMatrix,
    split: Split,
    model: nn.Module | VisionModel,
    images: Any,
    labels: Sequence[int] | Tensor | None,
    preprocess: Callable[[Image], Tensor] | None,
    batch_size: int | None,
) -> Cut:
    """Check everything on three images and cut the model at the layer."""
    module, device = open_module(model)
    default = BATCH_SIZE_CUDA if device.type == "cuda" else BATCH_SIZE_CPU
    inputs = Inputs(images, model, preprocess, batch_size or default)
    inputs.check_same(recorded)
    split.check(recorded.n_images)
    classes = check_labels(labels, inputs.images, recorded.n_images)
    val, test = (torch.as_tensor(part).to(torch.int64).flatten() for part in (split.val, split.test))
    examples = torch.cat(list(inputs.batches(val[:_N_EXAMPLES]))).to(device)
    behind = BehindLayer(module, recorded.layer, examples, output=units.output)
    check_classes(labels, classes[torch.cat([val, test])], inputs.images, behind.n_classes)
    stored = behind.store(examples)
    pooled = units.read(stored.layer_output, recorded.layer, len(examples)).cpu()
    _check_recorded(recorded, pooled, val[: len(examples)])
    tail = find_linear_tail(behind, stored, units)
    # A token is one position; feature maps and sequences have several, which are pooled.
    n_vectors = stored.layer_output.numel() // stored.layer_output.shape[units.axis(stored.layer_output.ndim)]
    several = units.has_pattern and n_vectors > len(examples)
    has_pattern = tail is None and several
    return Cut(inputs, behind, device, units, tail, pooled.shape[1], classes, (val, test), has_pattern)


def open_losses(
    cut: Cut, recorded: ActivationMatrix, neurons: Sequence[int], temperature: float | None, replace: Replace
) -> Opened:
    """Choose between the linear head and the network, for some of the recorded neurons."""
    tail, targets = cut.tail, [cut.classes[rows] for rows in cut.rows]
    batches = [
        StoredBatches(cut.behind, lambda start, rows=rows: cut.inputs.batches(rows[start:]), cut.device)
        for rows in cut.rows
    ]
    if tail is not None and recorded.neurons == tuple(range(cut.n_neurons)):  # nothing has to run
        logits = [tail.logits(recorded.values[rows]) for rows in cut.rows]
    else:
        logits = [one.logits() for one in batches]
    temperature = temperature or fit_temperature(logits[0], targets[0])
    accuracy = float((logits[1].argmax(1) == targets[1]).double().mean())

    def losses(side: int) -> Losses:
        if tail is not None:
            activations = recorded.select(neurons).values[cut.rows[side]]
            return HeadLosses.of(tail, logits[side], targets[side], activations, neurons, temperature)
        original = judge(logits[side], targets[side], temperature)[0]
        network = Network(cut.behind, cut.units, temperature)
        return NetworkLosses(network, batches[side], targets[side], original, tuple(neurons), replace)

    return Opened((losses(0), losses(1)), temperature, accuracy)


def _check_recorded(recorded: ActivationMatrix, pooled: Tensor, rows: Tensor) -> None:
    beyond = [neuron for neuron in recorded.neurons if not 0 <= neuron < pooled.shape[1]]
    if beyond:
        raise ValueError(
            f"Neuron {beyond[0]} was recorded, but layer '{recorded.layer}' has {pooled.shape[1]} neurons. "
            "Give the model and the layer that were recorded."
        )
    now, before = pooled[:, list(recorded.neurons)], recorded.block(rows)
    difference = float((now - before).abs().max())
    if not difference <= _TOLERANCE * float(now.abs().max()) + 1e-6:
        raise ValueError(
            f"The recorded activations differ by {difference:.3g} from what layer '{recorded.layer}' does on the same "
            "images. Use the model, preprocessing, pool, channels, token and output of the recording, or record anew."
        )
