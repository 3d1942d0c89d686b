"""What a better search, more terms or other weights than those of swaps could gain at all.

Takes the same folders as ``search_frontier.py``. For some neurons of each layer: how near the three terms of swaps come
to the best of all triples, each tried; the test correlation of swaps with more and more terms, until half of the gap
between ten terms and ridge regression on all concepts is closed; and what other weights for the same terms gain, on a
fifth of the training and validation images held out for this: fitted on training and validation images together, shrunk
by ridge regression with a penalty of its own for each neuron, or fitted to the ridge prediction on all concepts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linexp.solve import Moments, Solution, search_swaps
from linexp.solve.swaps import _fit_reference
from search_frontier import Problem, Source, correlate, hold_out, measure, read_sources, score_ridge

Array = NDArray[np.float64]
PENALTIES = (0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
LENGTHS = (10, 15, 20, 30, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    parser.add_argument("results", type=Path, nargs="*", help="result folders of linexp explain")
    parser.add_argument("--neurons", type=int, default=40, help="neurons of each layer, evenly spread")
    wanted = parser.parse_args()
    for title, activations, concepts, split, least in read_sources(wanted.folder, wanted.results):
        step = max(len(activations.neurons) // wanted.neurons, 1)
        some = activations.select(activations.neurons[::step])
        source: Source = (title, some, concepts, split, least)
        problem = measure(*source)
        print(f"## {title}, {len(problem.train.neuron_variance)} neurons")
        tell_triples(problem)
        tell_lengths(problem)
        tell_weights(measure(title, some, concepts, hold_out(split), least))


def scaled(moments: Moments) -> tuple[Array, Array, Array, Array]:
    """Return covariances in units of these images, the concepts' deviations, and the ridge prediction's covariances."""
    scale = np.sqrt(moments.concept_variance.numpy())
    scale[scale == 0] = 1
    gram, cross = moments.gram.numpy() / scale / scale[:, None], moments.cross.numpy() / scale[:, None]
    target = _fit_reference(gram, cross, moments.neuron_variance.numpy(), moments.n_images)[0]
    return gram, cross, scale, target


def tell_triples(problem: Problem) -> None:
    gram, _, _, target = scaled(problem.train.merge(problem.val))
    found = search_swaps(problem.train, problem.val, max_terms=3, min_gain=0.0)
    shares: list[float] = []
    for neuron, row in enumerate(found.concepts):
        if (row >= 0).all() and len(row) == 3:
            own = target[row, neuron]
            explained = own @ np.linalg.solve(gram[np.ix_(row, row)], own)
            shares.append(float(np.sqrt(explained / best_triple(gram, target[:, neuron]))))
    told = f"mean {np.mean(shares):.4f}, least {min(shares):.4f}, best in {np.mean(np.array(shares) > 1 - 1e-9):.0%}"
    print(f"correlation with the ridge prediction, of the best triple's ({len(shares)} neurons): {told}", flush=True)


def best_triple(gram: Array, target: Array) -> float:
    """Return the most that three concepts explain of the target, every triple tried."""
    scales, best = gram.diagonal(), 0.0
    for first in range(len(gram)):
        shared = gram[first] / np.sqrt(scales[first])
        left, slack = scales - shared**2, target - shared * target[first] / np.sqrt(scales[first])
        others = np.flatnonzero(left > 1e-5 * scales)
        others = others[others > first]
        if len(others):
            along = (gram[others] - np.outer(shared[others], shared)) / np.sqrt(left[others])[:, None]
            pull = slack[others] / np.sqrt(left[others])
            third, rest = left - along**2, slack - along * pull[:, None]
            gains = np.where(third > 1e-5 * scales, rest**2 / np.maximum(third, 1e-300), 0.0).max(1)
            best = max(best, target[first] ** 2 / scales[first] + float((pull**2 + gains).max()))
    return best


def tell_lengths(problem: Problem) -> None:
    ceiling, ten = score_ridge(problem), 0.0
    for n_terms in LENGTHS:
        found = search_swaps(problem.train, problem.val, max_terms=n_terms, min_gain=0.0)
        test = correlate(found, problem.test).mean()
        ten = ten or test
        closed = (test - ten) / (ceiling - ten)
        print(f"{n_terms} terms: {test:.4f}, {closed:.0%} of the gap to ridge ({ceiling:.4f}) closed", flush=True)
        if closed > 0.55:
            return


def tell_weights(problem: Problem) -> None:
    for name, settings in (("price 0.02", {}), ("ten terms", {"min_gain": 0.0})):
        found = search_swaps(problem.train, problem.val, **settings)
        before = correlate(found, problem.test).mean()
        for how, weights in other_weights(found, problem.train.merge(problem.val)).items():
            after = correlate(replace(found, weights=weights), problem.test).mean()
            print(f"{name}, weights {how}: {before:.4f} to {after:.4f} ({after / before - 1:+.2%})", flush=True)


def other_weights(found: Solution, together: Moments) -> dict[str, Array]:
    gram, cross, variance = together.gram.numpy(), together.cross.numpy(), together.neuron_variance.numpy()
    _, _, scale, target = scaled(together)
    target = target * scale[:, None]
    told = {how: np.zeros_like(found.weights) for how in ("of all images", "shrunk", "for the ridge prediction")}
    for neuron, row in enumerate(found.concepts):
        used = row[row >= 0]
        inner, own = gram[np.ix_(used, used)], cross[used, neuron]
        told["of all images"][neuron, : len(used)] = np.linalg.solve(inner, own)
        told["for the ridge prediction"][neuron, : len(used)] = np.linalg.solve(inner, target[used, neuron])
        trials = [shrunk(inner, own, variance[neuron], penalty, together.n_images) for penalty in PENALTIES]
        told["shrunk"][neuron, : len(used)] = min(trials, key=lambda trial: trial[0])[1]
    return told


def shrunk(gram: Array, cross: Array, variance: float, penalty: float, n_images: int) -> tuple[float, Array]:
    """Return ridge weights and the error that generalised cross-validation expects of them."""
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    weights = inverse @ cross
    freedom = 1 + np.trace(inverse @ gram)
    error = variance - 2 * weights @ cross + weights @ gram @ weights
    return float(error / (1 - freedom / n_images) ** 2), weights


if __name__ == "__main__":
    main()
