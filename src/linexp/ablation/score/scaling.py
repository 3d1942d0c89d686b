"""The scale c and shift d that turn simulated activations into replacements (Eq. 11): closed form, or optimised."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.ablation.losses.chebyshev import Curves

_N_NEWTON, _N_POLISH = 20, 3
# One number is found sooner than two.
_N_NEWTON_CONSTANT, _N_POLISH_CONSTANT = 8, 5
_ALL_DIRECTIONS, _LEVEL = ((1, 0), (0, 1), (1, 1), (1, -1)), ((0, 1),)
_FIRST_STEP = 0.1
"""Of the polish, in standard deviations of the neuron."""


_ADAM_RATE, _ADAM_STEPS = 1e-2, 100


class Scaling(NamedTuple):
    """Scale and shift per neuron: the replacement is c·simulated + d."""

    c: Float[Tensor, " neurons"]
    d: Float[Tensor, " neurons"]

    def of(self, simulated: Float[Tensor, "images neurons"]) -> Float[Tensor, "images neurons"]:
        """Return the replacements."""
        return self.c * simulated.to(torch.float64) + self.d


def fit_norm(simulated: Float[Tensor, "images neurons"], actual: Float[Tensor, "images neurons"]) -> Scaling:
    """Return the scaling of least squares; c = 0 where the simulation does not vary.

    References
    ----------
    Paper, Appendix B.5, Eq. 16 to 20.
    """
    s, a = simulated.to(torch.float64), actual.to(torch.float64)
    centred = s - s.mean(0)
    constant = (simulated == simulated[0]).all(0)
    c = torch.where(constant, 0, (centred * (a - a.mean(0))).sum(0) / centred.square().sum(0))
    c = c.nan_to_num(0, 0, 0)
    return Scaling(c, a.mean(0) - c * s.mean(0))


def fit_optim(
    curves: Curves,
    simulated: Float[Tensor, "images neurons"],
    start: Scaling,
    spread: Float[Tensor, " neurons"],
) -> Scaling:
    """Minimise Σ|change of the loss| from ``start``, and return the best step.

    Reweighted Gauss-Newton steps, which treat each |change| as a parabola through its last value, with a damping that
    grows where a step fails; then smaller and smaller steps along the axes and diagonals, which no kink can hold up.
    About 45 evaluations, all neurons at once.

    Parameters
    ----------
    curves
        Changes of the losses of the images.
    simulated
        Simulated activations.
    start
        Where to start; also a neuron's mean, which c = 0 stands for, is tried.
    spread
        Standard deviation of each neuron.
    """
    s = simulated.to(torch.float64)
    middle, scale = s.mean(0), s.std(0, correction=0)
    unit = torch.where(scale > 0, (s - middle) / scale, 0)
    objective = _Objective(curves, unit)
    first = torch.stack([start.c * scale, start.d + start.c * middle])
    constant = torch.stack([torch.zeros_like(spread), first[1]])
    first, value = _better(objective, first, objective.value(first), constant)
    point, value = _newton(objective, first, value)
    point = _polish(objective, point, value, spread)
    c = torch.where(scale > 0, point[0] / scale, start.c).nan_to_num(0, 0, 0)
    return Scaling(c, point[1] - c * middle)


def fit_constant(
    curves: Curves, mean: Float[Tensor, " neurons"], spread: Float[Tensor, " neurons"]
) -> Float[Tensor, " neurons"]:
    """Return the constant that minimises Σ|change of the loss|: what ``fit_optim`` does without a simulation.

    Parameters
    ----------
    curves, spread
        As in ``fit_optim``.
    mean
        Where to start: each neuron's mean.
    """
    objective = _Objective(curves, torch.zeros(1, len(mean), dtype=torch.float64))
    first = torch.stack([torch.zeros_like(mean), mean])
    point, value = _newton(objective, first, objective.value(first), _N_NEWTON_CONSTANT)
    return _polish(objective, point, value, spread, _LEVEL, _N_POLISH_CONSTANT)[1]


class _Objective:
    """Σ|change| as a function of (size of the simulation's variation, mean) per neuron [2, neurons]."""

    def __init__(self, curves: Curves, unit: Tensor) -> None:
        self.curves, self.unit = curves, unit

    def value(self, point: Tensor) -> Tensor:
        return self.curves.total(self._replacements(point))

    def _replacements(self, point: Tensor) -> Tensor:
        return (point[0] * self.unit + point[1]).expand(self.curves.coefficients.shape[1], -1)

    def with_step(self, point: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the damped Gauss-Newton step."""
        change, slope = self.curves.at(self._replacements(point))
        size = change.abs()
        weight = 1 / size.clamp_min(1e-3 * size.mean(0) + 1e-30)
        first, second = slope * self.unit, slope
        a, b, e = ((weight * x * y).sum(0) for x, y in ((first, first), (first, second), (second, second)))
        g, h = ((weight * change * x).sum(0) for x in (first, second))
        a, e = a * (1 + damping) + 1e-30, e * (1 + damping) + 1e-30
        determinant = a * e - b * b
        return size.sum(0), -torch.stack([e * g - b * h, a * h - b * g]) / determinant


def _newton(objective: _Objective, point: Tensor, value: Tensor, n_steps: int = _N_NEWTON) -> tuple[Tensor, Tensor]:
    damping = torch.full_like(value, 1e-3)
    _, step = objective.with_step(point, damping)
    for _ in range(n_steps):
        tried = point + step.nan_to_num(0, 0, 0)
        found, next_step = objective.with_step(tried, damping)
        better = found < value
        damping = torch.where(better, damping / 4, (damping * 8).clamp(1e-2, 1e6))
        point, value = torch.where(better, tried, point), torch.where(better, found, value)
        step = torch.where(better, next_step, step / 3)
    return point, value


def _polish(
    objective: _Objective,
    point: Tensor,
    value: Tensor,
    spread: Tensor,
    along: tuple[tuple[int, int], ...] = _ALL_DIRECTIONS,
    n_rounds: int = _N_POLISH,
) -> Tensor:
    directions = torch.tensor(along, dtype=torch.float64)[..., None]
    length = _FIRST_STEP * spread
    for _ in range(n_rounds):
        before = value
        for direction in directions:
            for sign in (1, -1):
                point, value = _better(objective, point, value, point + sign * length * direction)
        length = torch.where(value < before, length, length / 3)
    return point


def _better(objective: _Objective, point: Tensor, value: Tensor, tried: Tensor) -> tuple[Tensor, Tensor]:
    found = objective.value(tried)
    better = found < value
    return torch.where(better, tried, point), torch.where(better, found, value)


def fit_adam(curves: Curves, simulated: Float[Tensor, "images neurons"], mean_change: Tensor) -> Scaling:
    """Return what 100 steps of Adam from c = 1, d = 0 lead to, at a rate of 0.01: the released code's procedure.

    c moves by less than 0.01 a step, so it stays below 2 and above 0 whatever the scale of the simulation.

    Parameters
    ----------
    curves, simulated
        As in ``fit_optim``.
    mean_change
        Σ|change of the loss| with each neuron at its mean: the objective's unit.
    """
    s = simulated.to(torch.float64)
    parameters = torch.stack([torch.ones_like(mean_change), torch.zeros_like(mean_change)])
    adam = torch.optim.Adam([parameters], lr=_ADAM_RATE)
    for _ in range(_ADAM_STEPS):
        change, slope = curves.at(parameters[0] * s + parameters[1])
        slope = change.sign() * slope / mean_change.clamp_min(1e-30)
        parameters.grad = torch.stack([(slope * s).sum(0), slope.sum(0)])
        adam.step()
    return Scaling(parameters[0], parameters[1])
