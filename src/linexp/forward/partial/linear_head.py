"""Recognise a layer that is followed by pooling and a linear head only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linexp.forward.partial.model import BehindLayer
from linexp.forward.partial.state import Stored
from linexp.forward.rounding import is_close
from linexp.forward.units import Unit

# Multiples of the spread of the layer's outputs: far beyond what any single replaced neuron does to them.
_SPREADS = (1.0, 10.0)


@dataclass(frozen=True, eq=False)
class LinearTail:
    """The logits are the pooled activations times a matrix, plus a bias.

    Parameters
    ----------
    weight
        Change of each logit with each neuron's pooled activation (W).
    bias
        The logits where no neuron is active.
    """

    weight: Float[Tensor, "classes neurons"]
    bias: Float[Tensor, " classes"]

    def logits(self, pooled: Float[Tensor, "images neurons"]) -> Float[Tensor, "images classes"]:
        """Return the logits of pooled activations, in float64."""
        return pooled.to(torch.float64) @ self.weight.T + self.bias


def find_linear_tail(behind: BehindLayer, stored: Stored, units: Unit) -> LinearTail | None:
    """Return the linear head that alone follows the layer after pooling, or ``None``.

    A candidate is a ``torch.nn.Linear`` from the layer's neurons to the classes. It is the tail if it gives the
    model's logits from the pooled output of the layer, not only as it is but also turned negative and with noise of
    one and ten times its spread, which no clipping, normalisation or other branch would let pass.
    """
    if units.linear is not units:
        return None
    trials = list(_trials(stored.layer_output, units))
    pooled = [units.read(trial, behind.name, stored.n_images).cpu().double() for trial in trials]
    logits = [behind.logits(stored, trial).cpu().double() for trial in trials]
    for module in nn.Module.modules(behind.model):
        if isinstance(module, nn.Linear) and tuple(module.weight.shape) == (behind.n_classes, pooled[0].shape[1]):
            weight = module.weight.detach().cpu().double()
            bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach().cpu()  # pyright: ignore[reportUnnecessaryComparison]
            tail = LinearTail(weight, bias.double())
            if all(is_close(tail.logits(one), other) for one, other in zip(pooled, logits, strict=True)):
                return tail
    return None


def _trials(output: Tensor, units: Unit) -> Iterator[Tensor]:
    yield output
    yield -output
    generator = torch.Generator().manual_seed(0)
    for spread in _SPREADS:
        # Half of the noise is common to all positions of a neuron: otherwise pooling would average it away.
        shapes = [output.shape, _one_position(output, units.axis(output.ndim))]
        noise = [torch.randn(shape, generator=generator, dtype=torch.float32) for shape in shapes]
        yield output + spread * output.std() * (noise[0] + noise[1]).to(output)


def _one_position(output: Tensor, channel: int) -> list[int]:
    return [length if axis in (0, channel) else 1 for axis, length in enumerate(output.shape)]
