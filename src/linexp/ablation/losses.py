"""How much the loss of each image changes when a neuron's activation is replaced, in two ways with one interface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp._internal.checks import device_for_doubles
from linexp.ablation.chebyshev import Curves, chebyshev_coefficients, chebyshev_nodes
from linexp.forward.partial import LinearTail, StoredBatches
from linexp.forward.units import Replace, Unit

# Degrees tried one after another, and the last coefficients allowed, in units of the loss (nats).
_DEGREES = (16, 24, 32, 48, 64)
_EXACT, _ROUGH = 1e-9, 1e-4
# Below that a sum of probabilities has lost digits, and the range is too wide for a table.
_LOST = 1e-290
# Nodes for a network that is not smooth (ReLU): they only choose c and d, no score is read from them.
_NETWORK_NODES = 13
_DIRECT_ELEMENTS = 2**23


class Losses(Protocol):
    """Changes of the losses of some images."""

    @property
    def resolution(self) -> float:
        """Changes whose mean is smaller, in nats, are rounding."""
        ...

    def curves(self, neurons: Sequence[int], low: Float[Tensor, " neurons"], high: Float[Tensor, " neurons"]) -> Curves:
        """Return the change as a function of the activation between ``low`` and ``high``."""
        ...

    def changes(
        self, neurons: Sequence[int], values: Float[Tensor, "variants images neurons"]
    ) -> Float[Tensor, "variants images neurons"]:
        """Return the change of each image's loss when the neuron's activation becomes the value."""
        ...


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
        Pooled activations of all neurons, as recorded; column k is neuron ``names[k]``.
    weight
        Change of the logits with each neuron, divided by the temperature.
    """

    logits: Float[Tensor, "images classes"]
    labels: Int[Tensor, " images"]
    activations: Float[Tensor, "images neurons"]
    weight: Float[Tensor, "classes neurons"]

    @property
    def resolution(self) -> float:
        """Everything is in float64."""
        return 1e-12

    @classmethod
    def of(
        cls, tail: LinearTail, logits: Tensor, labels: Tensor, activations: Tensor, neurons: Sequence[int], t: float
    ) -> HeadLosses:
        """Make one from the columns of the neurons that are scored, at a temperature."""
        return cls(logits / t, labels, activations.double(), tail.weight[:, list(neurons)] / t)

    def curves(self, neurons: Sequence[int], low: Tensor, high: Tensor) -> Curves:
        """Return the change as a function of the activation; see ``Losses``."""
        actual = self.activations[:, list(neurons)]
        coefficients, middle, half, _ = self._fit(neurons, low - actual.amax(0), high - actual.amin(0), _ROUGH)
        return Curves(coefficients, actual + middle, half)

    def changes(self, neurons: Sequence[int], values: Tensor) -> Tensor:
        """Return the change of each image's loss; see ``Losses``."""
        actual = self.activations[:, list(neurons)]
        deltas = values.double() - actual
        coefficients, middle, half, good = self._fit(neurons, deltas.amin((0, 1)), deltas.amax((0, 1)), _EXACT)
        curves = Curves(coefficients, actual + middle, half)
        found = torch.stack([curves.changes(actual + delta) for delta in deltas])
        for column in torch.nonzero(~good).flatten().tolist():
            found[:, :, column] = self._directly(neurons[column], deltas[:, :, column])
        return found

    def _fit(
        self, neurons: Sequence[int], low: Tensor, high: Tensor, tolerance: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return coefficients, middle and half of the range of δ, and for which neurons they are good enough."""
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-12)
        probabilities = torch.softmax(self.logits, 1)
        coefficients = torch.empty(0)
        good = torch.zeros(len(neurons), dtype=torch.bool)
        likely = _likely_degree(self.weight[:, list(neurons)], half, tolerance)
        for degree in _DEGREES:
            if bool(good.all()):
                break
            if degree < likely and degree < _DEGREES[-1]:
                continue
            deltas = middle + half * chebyshev_nodes(degree)[:, None]
            sums, lost = self._log_sums(probabilities, self.weight[:, list(neurons)], deltas)
            coefficients = chebyshev_coefficients(sums)
            good = (coefficients[-2:].abs().amax((0, 1)) <= tolerance) & ~lost
        of_label = self.weight[:, list(neurons)][self.labels]
        coefficients[0] -= middle * of_label
        coefficients[1] -= half * of_label
        return coefficients, middle, half, good

    @staticmethod
    def _log_sums(probabilities: Tensor, weight: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """Return log Σ p·exp(δ·w) [nodes, images, neurons], and for which neurons digits were lost."""
        exponents = deltas[None] * weight[:, None]  # [classes, nodes, neurons]
        largest = exponents.amax(0)
        terms = (exponents - largest).exp_().flatten(1)
        sums = (probabilities @ terms).reshape(len(probabilities), *deltas.shape)
        lost = (sums < _LOST).any(0).any(0)
        return sums.clamp_min(_LOST).log().add(largest).transpose(0, 1), lost

    def _directly(self, neuron: int, deltas: Float[Tensor, "variants images"]) -> Tensor:
        """Without a table: the range is too wide for one."""
        weight, log_p = self.weight[:, neuron], torch.log_softmax(self.logits, 1)
        rows = max(1, _DIRECT_ELEMENTS // (len(weight) * len(deltas)))
        pieces = [
            torch.logsumexp(log_p[start : start + rows] + part[..., None] * weight, -1)
            for start, part in zip(range(0, len(log_p), rows), deltas.split(rows, 1), strict=True)
        ]
        return torch.cat(pieces, 1) - deltas * weight[self.labels]


def _likely_degree(weight: Tensor, half: Tensor, tolerance: float) -> float:
    """Return a degree below which it is not worth trying.

    log Σ p·exp(δ·w) has its singularities no nearer than δ = ±iπ / (range of w), which would be the rate at which
    coefficients fall if two classes held all the probability; in practice about half of that degree suffices.
    """
    distance = torch.pi / (half * (weight.amax(0) - weight.amin(0))).clamp_min(1e-12)
    rate = (distance + (1 + distance.square()).sqrt()).log()
    return 0.5 * float((-math.log(tolerance) / rate).amax())


@dataclass(frozen=True, eq=False)
class NetworkLosses:
    """For any layer: the part of the network behind it runs, for several neurons and values in one batch.

    Parameters
    ----------
    batches
        What the layer returned.
    labels
        Class of each image.
    original
        The model's own losses.
    names
        Which unit of the layer each neuron is.
    units, replace
        How an activation is put into the layer's output.
    temperature
        What logits are divided by.
    stack
        How many images, copies included, run at a time.
    """

    batches: StoredBatches
    labels: Int[Tensor, " images"]
    original: Float[Tensor, " images"]
    names: tuple[int, ...]
    units: Unit
    replace: Replace
    temperature: float
    stack: int

    @property
    def resolution(self) -> float:
        """Networks run in float32, or less."""
        return 1e-7

    def curves(self, neurons: Sequence[int], low: Tensor, high: Tensor) -> Curves:
        """Return the change as a function of the activation; see ``Losses``."""
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-12)
        nodes = middle + half * chebyshev_nodes(_NETWORK_NODES)[:, None]
        at_nodes = self.changes(neurons, nodes[:, None].expand(-1, len(self.labels), -1))
        return Curves(chebyshev_coefficients(at_nodes), middle[None], half)

    def changes(self, neurons: Sequence[int], values: Tensor) -> Tensor:
        """Return the change of each image's loss; see ``Losses``."""
        n_variants, n_images, n_neurons = values.shape
        found = torch.empty(n_variants, n_neurons, n_images, dtype=torch.float64)
        names = [self.names[neuron] for neuron in neurons] * n_variants
        for row, stored in self.batches:
            rows = slice(row, row + stored.n_images)
            tiles = values[:, rows].transpose(1, 2).reshape(-1, stored.n_images)
            n_tiles = max(1, self.stack // stored.n_images)
            pieces: list[Tensor] = []
            for start in range(0, len(tiles), n_tiles):
                part = slice(start, start + n_tiles)
                changed = self.units.replaced(stored.layer_output, names[part], tiles[part], self.replace)
                logits = self.batches.behind.logits(stored, changed)
                labels = self.labels[rows].repeat(len(tiles[part]))
                pieces.append(judge(logits, labels, self.temperature)[0])
            found[:, :, rows] = torch.cat(pieces).reshape(n_variants, n_neurons, -1)
        return found.transpose(1, 2) - self.original[:, None]


def judge(
    logits: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], temperature: float
) -> tuple[Float[Tensor, " images"], Bool[Tensor, " images"]]:
    """Return the loss of each image in float64, and whether the answer is its label; both on the CPU."""
    logits = logits.to(torch.device(device_for_doubles(logits.device)))
    there = labels.to(logits.device)
    losses = -torch.log_softmax(logits.double() / temperature, 1).gather(1, there[:, None])[:, 0]
    return losses.cpu(), (logits.argmax(1) == there).cpu()
