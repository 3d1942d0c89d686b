"""The elastic net of many neurons in step with each other, in torch alone: for GPUs, where loops do not pay."""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp._internal.checks import check_at_least, check_within
from linexp.solve.elastic_net import ElasticNetFit, check_finite, report_fit, solve_elastic_net

_STEPS_PER_JUMP = 10
_MOST_VALUES = 2**25  # of the Gram matrices of neurons in step: 256 MiB, of which a jump makes a few copies
# What steps and jumps are made of, for each neuron: numbers; one for each concept, or place of an active one; and the
# Gram matrix of the places.
Each: TypeAlias = Float[Tensor, " neurons"]
Rows: TypeAlias = Float[Tensor, "neurons places"]
Squares: TypeAlias = Float[Tensor, "neurons places places"]


def solve_elastic_net_batched(
    gram: Float[Tensor, "concepts concepts"],
    cross: Float[Tensor, "concepts neurons"],
    variance: Float[Tensor, " neurons"],
    *,
    strength: float = 0.05,
    l1_ratio: float = 0.99,
    tolerance: float = 1e-6,
    max_rounds: int = 1000,
    neurons_at_once: int = 512,
) -> ElasticNetFit:
    """Solve what ``solve_elastic_net`` solves, on the device where the moments are.

    Each neuron has its own small set of concepts that may enter, padded to a common size. Accelerated gradient steps
    find the signs of their weights, and Cholesky systems, one per neuron, the optimum for these signs. Weights agree
    with those of ``solve_elastic_net`` up to the two duality gaps; unlike those, they may differ in their last digits
    with the neurons solved beside them. A ``strength`` of 0 is solved on the CPU.

    Parameters
    ----------
    gram, cross, variance
        Covariances as ``solve_elastic_net`` takes them, in float64, on one device.
    strength, l1_ratio, tolerance, max_rounds
        As in ``solve_elastic_net``, which also says what is raised and warned of.
    neurons_at_once
        Neurons in step with each other; the memory used grows with it.

    References
    ----------
    Beck & Teboulle (2009), A fast iterative shrinkage-thresholding algorithm; Lee, Battle, Raina & Ng (2006),
    Efficient sparse coding algorithms.
    """
    check_at_least("strength", strength, 0)
    check_within("l1_ratio", l1_ratio, 1e-12, 1)
    check_at_least("neurons_at_once", neurons_at_once, 1)
    if strength == 0:
        arrays = (gram.cpu().numpy(), cross.cpu().numpy(), variance.cpu().numpy())
        return solve_elastic_net(*arrays, strength=0, tolerance=tolerance)
    for name, values in (("gram", gram), ("cross", cross), ("variance", variance)):
        check_finite(name, values.cpu().numpy())
    ridge = strength * (1 - l1_ratio) / l1_ratio
    weights = torch.zeros_like(cross.T, memory_format=torch.contiguous_format)
    gaps = torch.zeros_like(variance)
    for start in range(0, len(variance), neurons_at_once):
        part = slice(start, start + neurons_at_once)
        targets = cross[:, part].T.contiguous()
        weights[part], gaps[part] = _solve_batch(
            gram, targets, variance[part], strength, ridge, tolerance * variance[part] / 2, max_rounds
        )
    return report_fit(weights.T.cpu().numpy(), gaps.cpu().numpy(), variance.cpu().numpy(), tolerance)


def _solve_batch(
    gram: Tensor, cross: Rows, variance: Each, lasso: float, ridge: float, goal: Each, max_rounds: int
) -> tuple[Rows, Each]:
    """Return the weights and gaps of a few neurons; those whose gap is small enough leave the batch."""
    weights, slack = torch.zeros_like(cross), cross.clone()
    gaps = _duality_gaps(cross, slack, weights, variance, lasso, ridge)
    for _ in range(max_rounds):
        busy = torch.nonzero(gaps > goal)[:, 0]
        if len(busy) == 0:
            break
        active, is_real = _choose_active(gram, slack[busy], weights[busy], lasso)
        before = weights[busy]
        for few in torch.arange(len(busy), device=busy.device).split(max(1, _MOST_VALUES // active.shape[1] ** 2)):
            rows, places, real = busy[few], active[few], is_real[few]
            inner = gram[places.unsqueeze(2), places.unsqueeze(1)] * (real.unsqueeze(2) & real.unsqueeze(1))
            target, found = cross[rows].gather(1, places) * real, weights[rows].gather(1, places) * real
            rough = torch.maximum(0.1 * gaps[rows], 0.5 * goal[rows])
            found = _solve_active(inner, target, found, variance[rows], lasso, ridge, rough)
            weights[rows] = torch.zeros_like(weights[rows]).scatter_add_(1, places, found)
        slack[busy] = cross[busy] - weights[busy] @ gram
        gaps[busy] = _duality_gaps(cross[busy], slack[busy], weights[busy], variance[busy], lasso, ridge)
        if torch.equal(weights[busy], before):
            break  # floating point goes no further
    return weights, gaps


def _choose_active(
    gram: Tensor, slack: Rows, weights: Rows, lasso: float
) -> tuple[Int[Tensor, "neurons places"], Bool[Tensor, "neurons places"]]:
    """Return, for each neuron, the concepts with weight and those that press hardest, and which places are filled."""
    pressure = slack.abs() * (gram.diagonal() > 0) * (weights == 0)
    steepest = pressure.amax(1, keepdim=True)
    enters = (pressure > lasso) & (pressure >= lasso + 0.3 * (steepest - lasso))
    rank = torch.where(weights != 0, torch.inf, torch.where(enters, pressure, 0.0))
    most = max(int((rank > 0).sum(1).max()), 1)
    best = rank.topk(most, dim=1)
    return best.indices, best.values > 0


def _solve_active(
    inner: Squares, target: Rows, weights: Rows, variance: Each, lasso: float, ridge: float, goal: Each
) -> Rows:
    """Solve each neuron's small problem to its gap ``goal``; a neuron that is done keeps its weights."""
    # No eigenvalue exceeds the largest sum of absolute values of a row.
    pace = 1 / (inner.abs().sum(2).amax(1, keepdim=True) + ridge)
    is_done = torch.zeros_like(goal, dtype=torch.bool)
    for _ in range(200):
        moved = _step(inner, target, weights, pace, lasso, ridge)
        moved = _jump(inner, target, moved, lasso, ridge)
        is_still = (moved == weights).all(1)
        weights = torch.where(is_done.unsqueeze(1), weights, moved)
        slack = target - _times(inner, weights)
        is_done |= is_still | (_duality_gaps(target, slack, weights, variance, lasso, ridge) <= goal)
        if bool(is_done.all()):
            break
    return weights


def _step(inner: Squares, target: Rows, weights: Rows, pace: Tensor, lasso: float, ridge: float) -> Rows:
    """Take a few accelerated gradient steps (FISTA)."""
    ahead, momentum = weights, 1.0
    for _ in range(_STEPS_PER_JUMP):
        pull = ahead + pace * (target - _times(inner, ahead) - ridge * ahead)
        after = torch.sign(pull) * (pull.abs() - pace * lasso).clamp(min=0)
        grown = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = after + (momentum - 1) / grown * (after - weights)
        weights, momentum = after, grown
    return weights


def _jump(inner: Squares, target: Rows, weights: Rows, lasso: float, ridge: float) -> Rows:
    """Go to the optimum that the present signs allow, or towards it until the first weight reaches zero."""
    is_term = weights != 0
    slope = (target - _times(inner, weights) - ridge * weights - lasso * torch.sign(weights)) * is_term
    system = inner * (is_term.unsqueeze(2) & is_term.unsqueeze(1))
    # Outside the terms 1, for a system that can be solved; inside a trace more, for concepts that repeat each other.
    extra = torch.where(is_term, ridge + 1e-13 * inner.diagonal(dim1=1, dim2=2), 1.0)
    factor, info = torch.linalg.cholesky_ex(system + torch.diag_embed(extra))
    # Where rounding leaves no factor, the step is the gradient.
    factor = torch.where((info == 0)[:, None, None], factor, torch.eye(len(weights[0])).to(factor))
    step = torch.cholesky_solve(slope.unsqueeze(2), factor).squeeze(2) * is_term
    gain = (step * slope).sum(1, keepdim=True)
    curvature = (step * (_times(inner, step) + ridge * step)).sum(1, keepdim=True)
    is_way = (gain > 0) & (curvature > 0)
    length = torch.where(is_way, gain / torch.where(is_way, curvature, 1), 0)
    reach = torch.where(weights * step < 0, -weights / torch.where(step == 0, 1, step), torch.inf)
    length = torch.minimum(length, reach.amin(1, keepdim=True))
    return torch.where(reach <= length, 0, weights + length * step)


def _duality_gaps(cross: Rows, slack: Rows, weights: Rows, variance: Each, lasso: float, ridge: float) -> Each:
    """Return primal minus dual objective, the ridge taken as extra rows of the design."""
    steepest = (slack - ridge * weights).abs().amax(1)
    residual = variance - (weights * (cross + slack)).sum(1) + ridge * (weights**2).sum(1)
    along = variance - (weights * cross).sum(1)
    shrink = torch.where(steepest <= lasso, 1.0, lasso / steepest.clamp(min=lasso))
    return 0.5 * residual * (1 + shrink**2) + lasso * weights.abs().sum(1) - shrink * along


def _times(inner: Squares, weights: Rows) -> Rows:
    return torch.bmm(inner, weights.unsqueeze(2)).squeeze(2)
