"""From a model, a layer and images to what ablation scoring computes with; what can be wrong is said here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor, nn

from linexp._checks import check_same_images
from linexp.behind import BehindLayer, LinearTail, Replace, StoredBatches, find_linear_tail
from linexp.images import Images, ImageSubset, as_images
from linexp.matrix import ActivationMatrix
from linexp.models.base import VisionModel
from linexp.recording.pooling import Pooling
from linexp.recording.record import BATCH_SIZE_CPU, BATCH_SIZE_CUDA
from linexp.recording.source import open_source
from linexp.score.losses import HeadLosses, Losses, NetworkLosses, cross_entropies
from linexp.score.temperature import fit_temperature
from linexp.split import Split

_N_EXAMPLES = 3
_TOLERANCE = 1e-3
# Images, copies included, behind the layer at a time.
_STACK_CPU, _STACK_CUDA = 64, 1024


@dataclass(frozen=True)
class Settings:
    """What of ``AblationScorer`` concerns the model."""

    temperature: float | None
    replace: Replace
    pooling: Pooling


class Opened(NamedTuple):
    """Losses on the validation and the test images."""

    val: Losses
    test: Losses
    val_rows: Int[Tensor, " images"]
    test_rows: Int[Tensor, " images"]
    temperature: float
    linear: bool


class _Inputs:
    """Batches of inputs of some rows of the images."""

    def __init__(
        self, images: Any, model: nn.Module | VisionModel, preprocess: Callable[[Image], Tensor] | None, size: int
    ) -> None:
        ready = isinstance(images, Tensor) and images.is_floating_point()
        self.images: Any = images if ready else as_images(images)
        self.model, self.preprocess, self.size = model, preprocess, size

    def batches(self, rows: Int[Tensor, " images"]) -> Iterator[Tensor]:
        chosen = self.images[rows] if isinstance(self.images, Tensor) else ImageSubset(self.images, rows.tolist())
        return open_source(chosen, self.model, self.preprocess, self.size, None).batches([range(len(rows))])

    def check_same(self, recorded: ActivationMatrix) -> None:
        """Raise ``DifferentImagesError`` unless these are the images of the matrix."""
        if isinstance(self.images, Tensor):
            fingerprint = open_source(self.images, self.model, None, self.size, None).fingerprint
        else:
            fingerprint = self.images.fingerprint
        check_same_images(recorded.images, fingerprint, recorded.n_images, len(self.images))


def open_losses(
    settings: Settings,
    recorded: ActivationMatrix,
    chosen: ActivationMatrix,
    split: Split,
    model: nn.Module | VisionModel,
    images: Any,
    labels: Sequence[int] | Tensor | None,
    preprocess: Callable[[Image], Tensor] | None,
    batch_size: int | None,
) -> Opened:
    """Check everything, cut the model at the layer, and choose between the linear head and the network."""
    module = model.module if isinstance(model, VisionModel) else model
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"The model is a {type(module).__name__}. Give a torch.nn.Module, or what load_model returns.")
    device = next((part.device for part in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    default = BATCH_SIZE_CUDA if device.type == "cuda" else BATCH_SIZE_CPU
    inputs = _Inputs(images, model, preprocess, batch_size or default)
    inputs.check_same(recorded)
    split.check(recorded.n_images)
    classes = _check_labels(labels, inputs.images, recorded.n_images)
    rows = [torch.as_tensor(part).to(torch.int64).flatten() for part in (split.val, split.test)]
    examples = torch.cat(list(inputs.batches(rows[0][:_N_EXAMPLES]))).to(device)
    behind = BehindLayer(module, recorded.layer, examples)
    _check_classes(labels, inputs.images, behind.n_classes)
    _check_outside(classes[torch.cat(rows)], behind.n_classes)
    stored = behind.store(examples)
    pooled = settings.pooling.reduce(stored.layer_output, recorded.layer, len(examples)).cpu()
    _check_recorded(recorded, pooled, rows[0][: len(examples)])
    tail = find_linear_tail(behind, stored, settings.pooling)
    batches = [_stored_batches(behind, inputs, part, device) for part in rows]
    logits = [_logits(tail, recorded, pooled.shape[1], part, one) for part, one in zip(rows, batches, strict=True)]
    targets = [classes[part] for part in rows]
    temperature = settings.temperature or fit_temperature(logits[0], targets[0])
    losses: list[Losses] = []
    for part, one, logit, target in zip(rows, batches, logits, targets, strict=True):
        if tail is not None:
            head = HeadLosses.of(tail, logit, target, chosen.values[part], chosen.neurons, temperature)
            losses.append(head)
            continue
        original = cross_entropies(logit / temperature, target)
        stack = _STACK_CUDA if device.type == "cuda" else _STACK_CPU
        how = settings.pooling, settings.replace, temperature, stack
        losses.append(NetworkLosses(one, target, original, chosen.neurons, *how))
    return Opened(losses[0], losses[1], rows[0], rows[1], temperature, tail is not None)


def _stored_batches(behind: BehindLayer, inputs: _Inputs, rows: Tensor, device: torch.device) -> StoredBatches:
    return StoredBatches(behind, lambda start: inputs.batches(rows[start:]), device)


def _logits(
    tail: LinearTail | None, recorded: ActivationMatrix, n_neurons: int, rows: Tensor, batches: StoredBatches
) -> Tensor:
    """Return the model's logits: from the recorded activations if they are all there, else by running it."""
    if tail is not None and recorded.neurons == tuple(range(n_neurons)):
        return tail.logits(recorded.values[rows])
    return batches.logits()


def _check_labels(labels: Any, images: Images | Tensor, n_images: int) -> Int[Tensor, " images"]:
    if labels is None and not isinstance(images, Tensor):
        labels = images.labels
    if labels is None:
        raise ValueError(
            "The images have no labels, and ablation scoring compares losses. "
            "Pass labels=, the class of each image as a position in the model's output."
        )
    classes = torch.as_tensor(labels)
    if classes.is_floating_point() or classes.ndim != 1 or len(classes) != n_images:
        raise ValueError(
            f"The labels are {classes.dtype} of shape {list(classes.shape)} for {n_images} images. "
            "Give one whole number for each image."
        )
    return classes.to(torch.int64)


def _check_classes(labels: Any, images: Images | Tensor, n_classes: int) -> None:
    """Raise if the images' own labels cannot be positions in the output: they are of other classes."""
    if labels is None and not isinstance(images, Tensor) and len(images.label_names) not in (0, n_classes):
        raise ValueError(
            f"The images have {len(images.label_names)} classes and the model has {n_classes} outputs. "
            "Pass labels=, the position of each image's class in the model's output (linexp ablate: --outputs)."
        )


def _check_outside(classes: Tensor, n_classes: int) -> None:
    outside = classes[(classes < 0) | (classes >= n_classes)]
    if len(outside):
        raise ValueError(
            f"An image has the label {int(outside[0])}, but the model has {n_classes} outputs (0 to {n_classes - 1}). "
            "Pass labels= that are positions in the model's output."
        )


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
            "images. Use the model, preprocessing, pool, channels and token of the recording, or record anew."
        )
