"""Replacing or removing neurons of any layer: the part of the network behind it runs, many changed images at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp._internal.checks import device_for_doubles
from linexp._internal.progress import Advance
from linexp.ablation.losses.chebyshev import Curves, chebyshev_coefficients, chebyshev_nodes
from linexp.forward.partial import BehindLayer, Stored, StoredBatches
from linexp.forward.units import Replace, Unit

Precision = Literal["float32", "bfloat16", "float16"]
RESOLUTIONS = {"float32": 1e-5, "bfloat16": 0.1, "float16": 0.01}
"""Changes of one image's loss below these, in nats, are rounding."""


# Changed images that run at a time, and how many bytes their layer outputs may have together: what comes behind the
# layer needs several times that.
_STACK_CPU, _STACK_CUDA = 64, 1024
_STACK_BYTES = 2**28
# Nodes for a network that is not smooth (ReLU): they only choose c and d, no score is read from them.
_NODES = 13


@dataclass(frozen=True, eq=False)
class Network:
    """A network that was cut at a layer, with what changes one neuron in each image.

    Parameters
    ----------
    behind
        The cut model.
    units
        How neurons are read, written and removed.
    temperature
        What logits are divided by before the loss.
    precision
        What the network computes in; other than "float32": by ``torch.autocast``.
    """

    behind: BehindLayer
    units: Unit
    temperature: float
    precision: Precision = "float32"

    def store(self, batch: Tensor) -> Stored:
        """Run the whole model on a batch; see ``BehindLayer.store``."""
        with self._precisely(batch.device):
            return self.behind.store(batch)

    def judge(
        self,
        stored: Stored,
        labels: Int[Tensor, " images"],
        images: Int[Tensor, " pairs"],
        neurons: Int[Tensor, " pairs"],
        values: Float[Tensor, " pairs"] | None = None,
        replace: Replace = "set",
        *,
        advance: Advance = lambda _: None,
    ) -> tuple[Float[Tensor, " pairs"], Bool[Tensor, " pairs"]]:
        """Return the loss, and whether the answer is right, for pairs of an image and a neuron that is changed in it.

        Parameters
        ----------
        stored
            What ``store`` returned of a batch.
        labels
            Class of each of its images.
        images, neurons
            The pairs: which image of the batch, which neuron of the layer.
        values
            What the neuron's activation becomes. Default: it is removed.
        replace
            How; see ``Unit.changed``.
        advance
            Called with the number of pairs just done.
        """
        one = stored.layer_output[0]
        stack = min(stack_on(one.device), max(1, _STACK_BYTES // (one.numel() * one.element_size())))
        losses, right = torch.empty(len(images), dtype=torch.float64), torch.empty(len(images), dtype=torch.bool)
        with self._precisely(one.device):
            for start in range(0, len(images), stack):
                pairs = slice(start, start + stack)
                picked = self.behind.pick(stored, images[pairs])
                put = None if values is None else values[pairs]
                changed = self.units.changed(picked.layer_output, neurons[pairs], put, replace)
                logits = self.behind.logits(picked, changed)
                losses[pairs], right[pairs] = judge(logits, labels[images[pairs]], self.temperature)
                advance(len(logits))
        return losses, right

    def _precisely(self, device: torch.device) -> AbstractContextManager[object]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, getattr(torch, self.precision))


@dataclass(frozen=True, eq=False)
class NetworkLosses:
    """For any layer: the part of the network behind it runs; see ``HeadLosses`` for the methods.

    Parameters
    ----------
    network
        The cut model.
    batches
        What the layer returned.
    labels
        Class of each image.
    original
        The model's own losses.
    names
        Which unit of the layer each neuron is.
    replace
        How an activation is put into the layer's output.
    """

    network: Network
    batches: StoredBatches
    labels: Int[Tensor, " images"]
    original: Float[Tensor, " images"]
    names: tuple[int, ...]
    replace: Replace

    @property
    def resolution(self) -> float:
        """Networks run in float32, or less."""
        return 1e-7

    def curves(self, neurons: Sequence[int], low: Tensor, high: Tensor) -> Curves:
        """Return the change as a function of the activation."""
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-12)
        nodes = middle + half * chebyshev_nodes(_NODES)[:, None]
        at_nodes = self.changes(neurons, nodes[:, None].expand(-1, len(self.labels), -1))
        return Curves(chebyshev_coefficients(at_nodes), middle[None], half)

    def changes(self, neurons: Sequence[int], values: Tensor) -> Tensor:
        """Return the change of each image's loss."""
        n_variants, _, n_neurons = values.shape
        copies = values.transpose(1, 2).flatten(0, 1)  # [variants · neurons, images]
        names = torch.tensor([self.names[neuron] for neuron in neurons]).repeat(n_variants)[:, None]
        found = torch.empty(copies.shape, dtype=torch.float64)
        for start, stored in self.batches:
            rows = slice(start, start + stored.n_images)
            put = copies[:, rows]
            images, units = torch.broadcast_tensors(torch.arange(stored.n_images), names)
            pairs = images.flatten(), units.flatten(), put.flatten()
            found[:, rows] = self.network.judge(stored, self.labels[rows], *pairs, self.replace)[0].reshape(put.shape)
        return found.unflatten(0, (n_variants, n_neurons)).transpose(1, 2) - self.original[:, None]


def judge(
    logits: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], temperature: float
) -> tuple[Float[Tensor, " images"], Bool[Tensor, " images"]]:
    """Return the loss of each image in float64, and whether the answer is its label; both on the CPU."""
    logits = logits.to(torch.device(device_for_doubles(logits.device)))
    there = labels.to(logits.device)
    losses = -torch.log_softmax(logits.double() / temperature, 1).gather(1, there[:, None])[:, 0]
    return losses.cpu(), (logits.argmax(1) == there).cpu()


def stack_on(device: torch.device) -> int:
    """Return how many changed images run at a time on a device, at most."""
    return _STACK_CUDA if device.type == "cuda" else _STACK_CPU
