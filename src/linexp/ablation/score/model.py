"""From a model, a layer and images to what ablation scoring computes with; what can be wrong is said here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp.ablation.labels import check_classes, check_labels
from linexp.ablation.losses import HeadLosses, Losses, Network, NetworkLosses, judge
from linexp.ablation.temperature import fit_temperature
from linexp.forward import BATCH_SIZE_CPU, BATCH_SIZE_CUDA, Inputs, open_module
from linexp.forward.partial import BehindLayer, LinearTail, StoredBatches, find_linear_tail
from linexp.forward.units import Replace, Unit
from linexp.matrix import ActivationMatrix, Split
from linexp.models import VisionModel

ReplaceChoice = Literal["auto", "set", "shift"]
_N_EXAMPLES = 3
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Settings:
    """What of ``AblationScorer`` concerns the model."""

    temperature: float | None
    replace: ReplaceChoice
    units: Unit


class Opened(NamedTuple):
    """Losses on the validation and the test images."""

    val: Losses
    test: Losses
    val_rows: Int[Tensor, " images"]
    test_rows: Int[Tensor, " images"]
    temperature: float
    linear: bool
    accuracy: float
    replace: Replace
    exact: bool


class Cut(NamedTuple):
    """A model that was cut at a layer, on images and labels that fit it; ``rows`` are of val and test.

    ``has_pattern``: what comes behind the layer can tell apart the positions that were pooled into one activation.
    """

    inputs: Inputs
    device: torch.device
    behind: BehindLayer
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


def cut_model(
    settings: Settings,
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
    rows = val, test
    examples = torch.cat(list(inputs.batches(rows[0][:_N_EXAMPLES]))).to(device)
    behind = BehindLayer(module, recorded.layer, examples, output=settings.units.output)
    check_classes(labels, classes[torch.cat(rows)], inputs.images, behind.n_classes)
    stored = behind.store(examples)
    pooled = settings.units.read(stored.layer_output, recorded.layer, len(examples)).cpu()
    _check_recorded(recorded, pooled, rows[0][: len(examples)])
    tail = find_linear_tail(behind, stored, settings.units)
    # A token is one position; feature maps and sequences have several, which are pooled.
    several = settings.units.has_pattern and stored.layer_output.numel() > pooled.numel()
    return Cut(inputs, device, behind, tail, pooled.shape[1], classes, rows, tail is None and several)


def open_losses(settings: Settings, recorded: ActivationMatrix, chosen: ActivationMatrix, cut: Cut) -> Opened:
    """Choose between the linear head and the network."""
    tail, rows, device, used = cut.tail, cut.rows, cut.device, cut.replace(settings.replace)
    batches = [_stored_batches(cut.behind, cut.inputs, part, device) for part in rows]
    logits = [_logits(tail, recorded, cut.n_neurons, part, one) for part, one in zip(rows, batches, strict=True)]
    targets = [cut.classes[part] for part in rows]
    temperature = settings.temperature or fit_temperature(logits[0], targets[0])
    accuracy = float((logits[1].argmax(1) == targets[1]).double().mean())
    losses: list[Losses] = []
    for part, one, logit, target in zip(rows, batches, logits, targets, strict=True):
        if tail is not None:
            head = HeadLosses.of(tail, logit, target, chosen.values[part], chosen.neurons, temperature)
            losses.append(head)
            continue
        original = judge(logit, target, temperature)[0]
        network = Network(cut.behind, settings.units, temperature)
        losses.append(NetworkLosses(network, one, target, original, chosen.neurons, used))
    about = temperature, tail is not None, accuracy, used, cut.is_exact(used)
    return Opened(losses[0], losses[1], rows[0], rows[1], *about)


def _stored_batches(behind: BehindLayer, inputs: Inputs, rows: Tensor, device: torch.device) -> StoredBatches:
    return StoredBatches(behind, lambda start: inputs.batches(rows[start:]), device)


def _logits(
    tail: LinearTail | None, recorded: ActivationMatrix, n_neurons: int, rows: Tensor, batches: StoredBatches
) -> Tensor:
    """Return the model's logits: from the recorded activations if they are all there, else by running it."""
    if tail is not None and recorded.neurons == tuple(range(n_neurons)):
        return tail.logits(recorded.values[rows])
    return batches.logits()


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
