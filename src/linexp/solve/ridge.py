"""Ridge regression of many targets at once, in closed form, with the penalty that leave-one-out chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# Rows at a time: 4,096 x 2,048 float64 is 64 MiB, enough for a matrix product at full speed.
_BLOCK_ROWS = 4096
# First by decades, then by quarters of one around the best: the error of leave-one-out is flat near its minimum.
_DECADES, _QUARTERS = range(-5, 6), (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Ridge:
    """A linear map and what leave-one-out says of it.

    Parameters
    ----------
    weights
        float64 [features, targets].
    feature_means, target_means
        float64 means over the rows fitted on; the map is ``(x - feature_means) @ weights + target_means``.
    penalty
        What multiplies the squared weights beside the sum of squared errors.
    r2
        Share of the targets' variance that is predicted for rows left out; 0 or less: nothing is.
    left_out
        float64 [rows, targets]: for each row the prediction of the map fitted without that row.
    """

    weights: Float[Tensor, "features targets"]
    feature_means: Float[Tensor, " features"]
    target_means: Float[Tensor, " targets"]
    penalty: float
    r2: float
    left_out: Float[Tensor, "rows targets"]

    def predict(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, "rows targets"]:
        """Return the predictions in float64; a row's do not depend on the rows beside it beyond rounding."""
        blocks = [block.double() - self.feature_means for block in features.split(_BLOCK_ROWS)]
        return torch.cat([block @ self.weights + self.target_means for block in blocks])


def fit_ridge(
    features: Float[Tensor, "rows features"],
    targets: Float[Tensor, "rows targets"],
    penalties: Sequence[float] | None = None,
) -> Ridge:
    """Minimise ‖Y − XW − b‖² + penalty · ‖W‖² for the penalty with the smallest leave-one-out error of all targets.

    One eigendecomposition of the features' covariance serves all penalties. The error of a row left out is its
    residual divided by one minus its leverage, so nothing is ever fitted again. Features are read in blocks and turned
    into float64 there; beside them the targets, their predictions and the features along the eigenvectors are held.

    Parameters
    ----------
    features
        Finite numbers, of any real dtype. At least two rows.
    targets
        As many rows.
    penalties
        Those to choose from, each above 0. Default: powers of ten times the mean variance of a feature, 1e-5 to 1e5,
        and quarters of a decade around the best of them.

    Raises
    ------
    ValueError
        There are fewer than two rows, or not as many targets as rows; a penalty is not above 0; the features or the
        targets are the same in all rows.

    References
    ----------
    Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, 2009, Eq. 7.64 (leave-one-out).
    """
    _check(features, targets, penalties)
    problem = _Problem.of(features, targets)
    if penalties is not None:
        tried = {penalty: problem.error(penalty) for penalty in penalties}
    else:
        unit = float(problem.eigenvalues.mean())
        tried = {10.0**power * unit: problem.error(10.0**power * unit) for power in _DECADES}
        best = min(tried, key=tried.__getitem__)
        tried |= {10.0**step * best: problem.error(10.0**step * best) for step in _QUARTERS}
    penalty = min(tried, key=tried.__getitem__)
    r2 = 1 - tried[penalty] / float(problem.targets.square().sum())
    weights = problem.vectors @ (problem.products / (problem.eigenvalues + penalty)[:, None])
    left_out = targets.double() - problem.errors_left_out(penalty)
    return Ridge(weights, problem.feature_means, problem.target_means, penalty, r2, left_out)


def _check(features: Tensor, targets: Tensor, penalties: Sequence[float] | None) -> None:
    if len(features) < 2 or len(features) != len(targets):
        raise ValueError(
            f"There are {len(features)} rows of features and {len(targets)} of targets. Give at least two of each, "
            "and as many."
        )
    wrong = [penalty for penalty in penalties or () if not penalty > 0]
    if wrong:
        raise ValueError(f"A penalty is {wrong[0]}. Give numbers above 0.")
    for name, rows in (("features", features), ("targets", targets)):
        if bool((rows == rows[0]).all()):
            raise ValueError(f"The {name} are the same in all {len(rows)} rows. Give rows that differ.")


@dataclass(frozen=True, eq=False)
class _Problem:
    """The centred problem along the eigenvectors of the features' sums of squares."""

    feature_means: Tensor
    target_means: Tensor
    eigenvalues: Float[Tensor, " directions"]
    vectors: Float[Tensor, "features directions"]
    turned: Float[Tensor, "rows directions"]
    targets: Float[Tensor, "rows targets"]
    products: Float[Tensor, "directions targets"]

    @classmethod
    def of(cls, features: Tensor, targets: Tensor) -> _Problem:
        n_rows, n_features = features.shape
        means = torch.stack([block.double().sum(0) for block in features.split(_BLOCK_ROWS)]).sum(0) / n_rows
        centred_targets = targets.double() - targets.double().mean(0)
        if n_rows < n_features:  # as many directions as rows are enough
            centred = features.double() - means
            values, left = torch.linalg.eigh(centred @ centred.T)
            # The last but the smallest: centring leaves one direction without variance.
            values, left = values[1:].clamp_min(0), left[:, 1:]
            scale = torch.where(values > values[-1] * 1e-12, values, torch.inf).rsqrt()
            vectors = centred.T @ (left * scale)
            turned = centred @ vectors
        else:
            squares = torch.zeros(n_features, n_features, dtype=torch.float64)
            for block in features.split(_BLOCK_ROWS):
                centred = block.double() - means
                squares += centred.T @ centred
            values, vectors = torch.linalg.eigh(squares)
            values = values.clamp_min(0)
            turned = torch.cat([(block.double() - means) @ vectors for block in features.split(_BLOCK_ROWS)])
        products = turned.T @ centred_targets
        return cls(means, targets.double().mean(0), values, vectors, turned, centred_targets, products)

    def errors_left_out(self, penalty: float) -> Float[Tensor, "rows targets"]:
        """Return for each row the error of the map fitted without it."""
        shrunk = 1 / (self.eigenvalues + penalty)
        # The mean is fitted too and adds 1/rows to every leverage.
        leverage = self.turned.square() @ shrunk + 1 / len(self.turned)
        residual = self.targets - self.turned @ (self.products * shrunk[:, None])
        return residual / (1 - leverage)[:, None]

    def error(self, penalty: float) -> float:
        """Return the sum of squared errors of all targets over rows left out."""
        return float(self.errors_left_out(penalty).square().sum())
