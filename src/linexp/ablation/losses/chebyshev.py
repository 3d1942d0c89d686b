"""How the loss of each image changes with one neuron's activation, as a polynomial: looked up, not computed anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from numpy.polynomial.chebyshev import chebder
from torch import Tensor


def chebyshev_nodes(n_nodes: int) -> Float[Tensor, " nodes"]:
    """Return the Chebyshev points of the first kind, from 1 down to -1."""
    return _angles(n_nodes).cos()


def chebyshev_coefficients(at_nodes: Float[Tensor, "nodes images neurons"]) -> Float[Tensor, "nodes images neurons"]:
    """Return the coefficients of the polynomials that pass through the values at the Chebyshev points."""
    n_nodes = len(at_nodes)
    cosines = torch.cos(torch.arange(n_nodes, dtype=torch.float64)[:, None] * _angles(n_nodes)) * 2 / n_nodes
    cosines[0] /= 2
    return (cosines @ at_nodes.flatten(1)).reshape(at_nodes.shape)


def _angles(n_nodes: int) -> Float[Tensor, " nodes"]:
    return math.pi * (torch.arange(n_nodes, dtype=torch.float64) + 0.5) / n_nodes


@dataclass(frozen=True, eq=False)
class Curves:
    """Change of the loss of each image as a function of what each neuron's activation is replaced with.

    Parameters
    ----------
    coefficients
        Of Chebyshev polynomials in t = (activation − centre) / half, for t from -1 to 1; beyond that the curve goes
        on as a straight line.
    centre
        Activation in the middle, per image or for all images.
    half
        Half the width of the range.
    """

    coefficients: Float[Tensor, "nodes images neurons"]
    centre: Float[Tensor, "#images neurons"]
    half: Float[Tensor, " neurons"]

    @cached_property
    def _slopes(self) -> Float[Tensor, "nodes images neurons"]:
        """Coefficients of the derivatives."""
        return torch.from_numpy(chebder(self.coefficients.numpy()))

    def at(self, values: Float[Tensor, "images neurons"]) -> tuple[Tensor, Tensor]:
        """Return the changes of the losses and their slopes [images, neurons]."""
        t = (values - self.centre) / self.half
        inside = t.clamp(-1, 1)
        change, slope = (_clenshaw(coefficients, inside) for coefficients in (self.coefficients, self._slopes))
        return change + slope * (t - inside), slope / self.half

    def changes(self, values: Float[Tensor, "images neurons"]) -> Float[Tensor, "images neurons"]:
        """Return the changes of the losses alone, to the last bit as ``at`` does: half of the work."""
        t = (values - self.centre) / self.half
        if bool((t.abs() > 1).any()):  # the straight lines need slopes
            return self.at(values)[0]
        return _clenshaw(self.coefficients, t)

    def total(self, values: Float[Tensor, "images neurons"]) -> Float[Tensor, " neurons"]:
        """Return the sum over images of the absolute changes."""
        return self.changes(values).abs().sum(0)


def _clenshaw(coefficients: Tensor, t: Tensor) -> Tensor:
    """Evaluate the polynomials by Clenshaw's recurrence."""
    twice = 2 * t
    ahead = beyond = torch.zeros_like(t)
    for coefficient in coefficients.unbind()[:0:-1]:
        ahead, beyond = torch.addcmul(coefficient - beyond, twice, ahead), ahead
    return torch.addcmul(coefficients[0] - beyond, t, ahead)
