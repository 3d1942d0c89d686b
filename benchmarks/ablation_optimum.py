"""How far from the best c and d are those that ablation scoring finds: against Nelder-Mead from several starts.

Made-up neurons, a linear head, labels drawn from its probabilities. Prints, for small and large validation sets, by
how much the score on them stays, with the fitted scaling, below the best that Nelder-Mead finds, in float64, from six
starts, the fitted one among them.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from linexp.ablation.losses import HeadLosses
from linexp.ablation.score.scorer import AblationScorer
from linexp.ablation.score.side import Side

N_NEURONS, N_CLASSES, CORRELATION = 10, 20, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=12, help="of ten neurons each")
    options = parser.parse_args()
    for n_images in (50, 200, 1000):
        gaps = np.concatenate([gaps_of(make(seed, n_images)) for seed in range(options.problems)])
        above = int((gaps > 0.001).sum())
        print(
            f"{n_images} images: {gaps.mean():.5f} below, at most {gaps.max():.4f}; {above} of {len(gaps)} over 0.001"
        )


def make(seed: int, n_images: int) -> Side:
    """Return neurons as behind a ReLU, a head that reads them, and simulations of them with noise."""
    g = torch.Generator().manual_seed(seed)
    actual = torch.randn(n_images, N_NEURONS, generator=g).relu().square().double()
    actual += 0.02 * torch.rand(actual.shape, generator=g).double()
    weight = torch.randn(N_CLASSES, N_NEURONS, generator=g).double() * 1.5
    logits = actual @ weight.T
    logits = logits - logits.mean(0)
    labels = torch.multinomial(logits.softmax(1), 1, generator=g)[:, 0]
    noise = actual.std(0) * math.sqrt(1 / CORRELATION**2 - 1) * torch.randn(actual.shape, generator=g).double()
    return Side(HeadLosses(logits, labels, actual, weight), range(N_NEURONS), 0.3 * (actual + noise - 0.3), actual)


def gaps_of(side: Side) -> np.ndarray:
    """Return the score that Nelder-Mead finds less that with the fitted scaling, for each neuron."""
    fitted = AblationScorer()._score_block(side, side)
    least = AblationScorer("norm")._score_block(side, side)
    means = side.actual.mean(0)
    gaps = []
    for neuron in range(N_NEURONS):
        c, d, mean = float(least["c"][neuron]), float(least["d"][neuron]), float(means[neuron])
        found = float(fitted["c"][neuron]), float(fitted["d"][neuron])
        starts = [found, (c, d), (0.0, mean), (c / 2, mean / 2), (2 * c, d), (0.0, 0.0)]
        best = max(best_score(side, neuron, start) for start in starts)
        gaps.append(best - float(fitted["val"][neuron]))
    return np.array(gaps)


def best_score(side: Side, neuron: int, start: tuple[float, float]) -> float:
    """Return the score at the optimum that Nelder-Mead reaches from a start."""
    losses, actual, simulated = side.losses, side.actual[:, neuron], side.simulated[:, neuron]
    assert isinstance(losses, HeadLosses)
    weight, log_p = losses.weight[:, neuron], torch.log_softmax(losses.logits, 1)

    def total(replacement: Tensor) -> float:
        delta = replacement - actual
        change = torch.logsumexp(log_p + delta[:, None] * weight, -1) - delta * weight[losses.labels]
        return float(change.abs().sum())

    simplex = np.array([start, (start[0] + 0.2, start[1]), (start[0], start[1] + 0.2)])
    exact = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000, "initial_simplex": simplex}
    found = minimize(lambda x: total(x[0] * simulated + x[1]), start, method="Nelder-Mead", options=exact)
    return 1 - found.fun / total(actual.mean().expand_as(actual))


if __name__ == "__main__":
    main()
