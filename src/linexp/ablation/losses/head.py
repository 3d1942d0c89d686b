"""Replacing or removing neurons that a linear head follows: the logits change by δ·W[:, neuron], and nothing runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.compiled import compiled, share_neurons
from linexp._internal.progress import Advance
from linexp.ablation.losses.chebyshev import Curves, chebyshev_coefficients, chebyshev_nodes
from linexp.forward.partial import LinearTail

Array = NDArray[Any]
HEAD_RESOLUTION = 1e-9
"""Changes of one image's loss below that, in nats, are rounding."""


# Degrees tried one after another, and the last coefficients allowed, in units of the loss (nats).
_DEGREES = (16, 24, 32, 48, 64)
_EXACT, _ROUGH = 1e-9, 1e-4
# Below that a sum of probabilities has lost digits, and the range is too wide for a table.
_LOST = 1e-290
_DIRECT_ELEMENTS = 2**23
# Bounds the memory of removing: tables of 32 neurons, sorted logits of 8,192 images.
_NEURONS_PER_BLOCK, _IMAGES_PER_BLOCK = 32, 8192


@dataclass(frozen=True, eq=False)
class HeadLosses:
    """For a layer that a linear head follows: replacing a neuron by its activation plus δ adds δ·W[:, neuron].

    The loss then changes by log Σ p·exp(δ·w) − δ·w[label], p being the classes' probabilities. For one δ that is a
    matrix product for all images and neurons; between some δ, Chebyshev points, it is a polynomial to 1e-9.

    Parameters
    ----------
    logits
        The model's, divided by the temperature.
    labels
        Class of each image.
    activations
        Pooled activations of the neurons, as recorded.
    weight
        Change of the logits with each neuron, divided by the temperature.
    """

    logits: Float[Tensor, "images classes"]
    labels: Int[Tensor, " images"]
    activations: Float[Tensor, "images neurons"]
    weight: Float[Tensor, "classes neurons"]
    resolution: ClassVar[float] = 1e-12
    """Changes whose mean is smaller, in nats, are rounding; everything is in float64."""

    @classmethod
    def of(
        cls, tail: LinearTail, logits: Tensor, labels: Tensor, activations: Tensor, neurons: Sequence[int], t: float
    ) -> HeadLosses:
        """Make one from the columns of the neurons that are scored, at a temperature."""
        return cls(logits / t, labels, activations.double(), tail.weight[:, list(neurons)] / t)

    def curves(self, neurons: Sequence[int], low: Float[Tensor, " neurons"], high: Float[Tensor, " neurons"]) -> Curves:
        """Return the change as a function of the activation between ``low`` and ``high``."""
        actual = self.activations[:, list(neurons)]
        return self._fit(neurons, low - actual.amax(0), high - actual.amin(0), _ROUGH)[0]

    def changes(
        self, neurons: Sequence[int], values: Float[Tensor, "variants images neurons"]
    ) -> Float[Tensor, "variants images neurons"]:
        """Return the change of each image's loss when the neuron's activation becomes the value."""
        values = values.double()
        deltas = values - self.activations[:, list(neurons)]
        curves, good = self._fit(neurons, deltas.amin((0, 1)), deltas.amax((0, 1)), _EXACT)
        found = torch.stack([curves.changes(variant) for variant in values])
        for column in torch.nonzero(~good).flatten().tolist():
            found[:, :, column] = self._directly(neurons[column], deltas[:, :, column])
        return found

    def remove(
        self, advance: Advance = lambda _: None
    ) -> tuple[Float[Tensor, "images neurons"], Int[Tensor, "images neurons"]]:
        """Return what each neuron adds to each loss, and the answers that are lost without it (−1: won).

        Parameters
        ----------
        advance
            Called with the number of neurons just done.
        """
        n_images, n_neurons = self.activations.shape
        added = torch.empty(n_images, n_neurons, dtype=torch.float32)
        for start in range(0, n_neurons, _NEURONS_PER_BLOCK):
            block = range(start, min(start + _NEURONS_PER_BLOCK, n_neurons))
            added[:, block] = self.changes(block, torch.zeros(1, n_images, len(block)))[0].float()
            advance(len(block))
        weight = self.weight.T.contiguous().numpy()
        right = np.empty((n_images, n_neurons), dtype=np.bool_)
        for start in range(0, n_images, _IMAGES_PER_BLOCK):
            rows = slice(start, start + _IMAGES_PER_BLOCK)
            logits, labels, activations = (one[rows].numpy() for one in (self.logits, self.labels, self.activations))
            order = np.argsort(-logits, axis=1, kind="stable")
            share_neurons(n_neurons, _fill_right, logits, order, labels, activations, weight, right[rows])
        correct = (self.logits.argmax(1) == self.labels).to(torch.int8)
        return added, correct[:, None] - torch.from_numpy(right).to(torch.int8)

    def _fit(self, neurons: Sequence[int], low: Tensor, high: Tensor, tolerance: float) -> tuple[Curves, Tensor]:
        """Return the curves between two δ, and for which neurons they are good enough."""
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-12)
        probabilities, weight = torch.softmax(self.logits, 1), self.weight[:, list(neurons)]
        coefficients, good = torch.empty(0), torch.empty(0)
        likely = _likely_degree(weight, half, tolerance)
        for degree in [degree for degree in _DEGREES if degree >= likely] or _DEGREES[-1:]:
            sums, lost = _log_sums(probabilities, weight, middle + half * chebyshev_nodes(degree)[:, None])
            coefficients = chebyshev_coefficients(sums)
            good = (coefficients[-2:].abs().amax((0, 1)) <= tolerance) & ~lost
            if bool(good.all()):
                break
        of_label = weight[self.labels]
        coefficients[0] -= middle * of_label
        coefficients[1] -= half * of_label
        return Curves(coefficients, self.activations[:, list(neurons)] + middle, half), good

    def _directly(self, neuron: int, deltas: Float[Tensor, "variants images"]) -> Tensor:
        """Without a table: the range is too wide for one."""
        weight, log_p = self.weight[:, neuron], torch.log_softmax(self.logits, 1)
        rows = max(1, _DIRECT_ELEMENTS // (len(weight) * len(deltas)))
        pieces = [
            torch.logsumexp(log_p[start : start + rows] + part[..., None] * weight, -1)
            for start, part in zip(range(0, len(log_p), rows), deltas.split(rows, 1), strict=True)
        ]
        return torch.cat(pieces, 1) - deltas * weight[self.labels]


def _log_sums(probabilities: Tensor, weight: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Return log Σ p·exp(δ·w) [nodes, images, neurons], and for which neurons digits were lost."""
    exponents = deltas[None] * weight[:, None]  # [classes, nodes, neurons]
    largest = exponents.amax(0)
    terms = (exponents - largest).exp_().flatten(1)
    sums = (probabilities @ terms).reshape(len(probabilities), *deltas.shape)
    lost = (sums < _LOST).any(0).any(0)
    return sums.clamp_min(_LOST).log().add(largest).transpose(0, 1), lost


def _likely_degree(weight: Tensor, half: Tensor, tolerance: float) -> float:
    """Return a degree below which it is not worth trying.

    log Σ p·exp(δ·w) has its singularities no nearer than δ = ±iπ / (range of w), which would be the rate at which
    coefficients fall if two classes held all the probability; in practice about half of that degree suffices.
    """
    distance = torch.pi / (half * (weight.amax(0) - weight.amin(0))).clamp_min(1e-12)
    rate = (distance + (1 + distance.square()).sqrt()).log()
    return 0.5 * float((-math.log(tolerance) / rate).amax())


@compiled
def _fill_right(
    first: int, last: int, logits: Any, order: Any, labels: Any, activations: Any, weight: Any, right: Any
) -> None:
    """Look for a class above the label, from the highest logit down to where no weight could lift one there."""
    for neuron in range(first, last):
        low, high = weight[neuron].min(), weight[neuron].max()
        for image in range(len(activations)):
            activation, label = activations[image, neuron], labels[image]
            own = logits[image, label] - activation * weight[neuron, label]
            most = max(-activation * low, -activation * high)
            right[image, neuron] = True
            for place in range(order.shape[1]):
                other = order[image, place]
                if logits[image, other] + most < own:
                    break
                value = logits[image, other] - activation * weight[neuron, other]
                if other != label and (value > own or (value == own and other < label)):
                    right[image, neuron] = False
                    break
