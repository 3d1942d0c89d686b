"""Removing neurons of any layer: the part of the network behind it runs, for pairs of an image and a neuron."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.progress import Advance
from linexp.ablation.losses import judge
from linexp.forward.partial import BehindLayer, Stored
from linexp.forward.units import Unit

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS = ("float32", "bfloat16", "float16")
# Changes of the loss below these, in nats, are rounding.
RESOLUTIONS = {"float32": 1e-5, "bfloat16": 0.1, "float16": 0.01}


@dataclass(frozen=True, eq=False)
class NetworkRemoval:
    """Removes each of some neurons from each image of a batch.

    Parameters
    ----------
    behind
        The cut model.
    neurons
        Which neurons of the layer.
    units
        How they are read and removed.
    temperature
        What logits are divided by before the loss.
    stack
        How many pairs of an image and a neuron run at a time.
    precision
        What the network computes in; other than "float32": by ``torch.autocast``.
    """

    behind: BehindLayer
    neurons: tuple[int, ...]
    units: Unit
    temperature: float
    stack: int
    precision: Precision = "float32"

    def store(self, batch: Tensor) -> Stored:
        """Run the whole model on a batch; see ``BehindLayer.store``."""
        with self._precisely(batch.device):
            return self.behind.store(batch)

    def remove(
        self, stored: Stored, labels: Int[Tensor, " images"], advance: Advance
    ) -> tuple[Float[Tensor, "images neurons"], Int[Tensor, "images neurons"]]:
        """Return what each neuron adds to each loss, and the answers that are lost without it.

        Where a neuron is 0 all over an image already, nothing has to run.
        """
        losses, right = judge(stored.logits, labels, self.temperature)
        added = torch.zeros(stored.n_images, len(self.neurons), dtype=torch.float32)
        lost = torch.zeros(stored.n_images, len(self.neurons), dtype=torch.int8)
        active = self.units.active(stored.layer_output).cpu()[:, list(self.neurons)]
        places, images = torch.nonzero(active.T, as_tuple=True)
        advance(added.numel() - len(places))
        names = torch.tensor(self.neurons)
        with self._precisely(stored.logits.device):
            for place, image in zip(places.split(self.stack), images.split(self.stack), strict=True):
                picked = self.behind.pick(stored, image)
                changed = self.units.without(picked.layer_output, names[place])
                after, still_right = judge(self.behind.logits(picked, changed), labels[image], self.temperature)
                added[image, place] = (after - losses[image]).float()
                lost[image, place] = right[image].to(torch.int8) - still_right.to(torch.int8)
                advance(len(image))
        return added, lost

    def activations(self, stored: Stored) -> Float[Tensor, "images neurons"]:
        """Return the pooled activations of the neurons."""
        pooled = self.units.read(stored.layer_output, self.behind.name, stored.n_images)
        return pooled.cpu()[:, list(self.neurons)]

    def _precisely(self, device: torch.device) -> Any:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, getattr(torch, self.precision))
