"""Every compiled loop of ``solve`` on every hard problem: ``python -m tests.bounds_worker`` (test_bounds.py).

A process of its own, because numba decides when it is first imported whether it looks at indices.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from linexp.solve import (
    Shortlist,
    ShortlistMoments,
    accumulate_shortlist,
    jackknife,
    measure_columns,
    refit_among,
    search_greedy,
    search_greedy_nonzero,
    search_stepwise,
    search_swaps,
    search_top,
)
from tests.problems import PROBLEMS, Part, Problem, elastic_net, measure


def tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(part[0]), torch.from_numpy(part[1])


def results(problem: Problem, max_terms: int) -> Iterator[NDArray[np.generic]]:
    """Yield the numbers that each search, the elastic net, errors and shortlists give."""
    train, val = measure(problem.train, problem.val)
    guides = elastic_net(train), elastic_net(train, strength=0.0)
    yield from guides
    few, among = {"max_terms": max_terms}, {"max_terms": max_terms, "n_candidates": 3}
    found = [search(train, val, guides[0], **among) for search in (search_greedy, search_greedy_nonzero)]
    found += [search_top(train, val, guides[1], **few)]
    found += [search(train, val, min_gain=0.0, **few) for search in (search_stepwise, search_swaps)]
    for solution in found:
        yield from (solution.concepts, solution.weights, solution.val_correlation)
    shortlist = Shortlist.of_terms(found[-1])
    parts = [accumulate_shortlist([tensors(part)], shortlist) for part in (problem.train, problem.val)]
    yield refit_among(parts[0], parts[1], found[-1].concepts).weights
    errors = jackknife(shards(problem.train, shortlist), shards(problem.val, shortlist), found[-1])
    yield from (errors.weight_error, errors.val_error)
    yield measure_columns([tensors(problem.train)[0]]).top_mean.numpy()


def shards(part: Part, shortlist: Shortlist) -> list[ShortlistMoments]:
    concepts, neurons = tensors(part)
    pairs = zip(concepts.chunk(3), neurons.chunk(3), strict=True)
    return [accumulate_shortlist([pair], shortlist) for pair in pairs]


def main(path: str) -> None:
    """Save all numbers of each problem, end to end."""
    found: dict[str, NDArray[np.float64]] = {}
    for name, make in PROBLEMS.items():
        # One term, a few, and more than there are concepts: where loops end.
        numbers = [array for max_terms in (1, 5, 99) for array in results(make(0), max_terms)]
        found[name] = np.concatenate([np.asarray(array, np.float64).ravel() for array in numbers])
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
