"""What standard errors and stability cost beside the explanations, as ratios in one run.

1,000 images, 1,280 neurons, and 100, 1,000 and 8,000 concepts (sigmoids of low-rank logits, correlated and mostly near
0); each search explains the layer without errors, with standard errors alone (``n_groups``) and with the redraws of the
images alone (``n_repeats``), both at their defaults. The three take turns, so that other processes on the machine slow
all of them down; the ratios are those of the fastest turns. ``cpu`` is user time of all threads, ``wall`` what a clock
shows. Exits with 1 if errors cost more than 0.3, or redraws more than 1, of the explanations anywhere.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

import linexp as le
from paper_scale import MadeRows

MOST_ERRORS, MOST_STABILITY = 0.3, 1.0
SEARCHES = ("greedy", "swaps", "stepwise", "beam")
Times = tuple[float, float]
"""Wall and user seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="half a minute; the goals are for the whole")
    parser.add_argument("--searches", nargs="*", default=SEARCHES, choices=SEARCHES, help="which searches")
    parser.add_argument("--concepts", nargs="*", type=int, default=(100, 1000, 8000), help="how many concepts")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--neurons", type=int, default=1280)
    parser.add_argument("--turns", type=int, default=3, help="times that each is run")
    wanted = parser.parse_args()
    if wanted.small:
        wanted.concepts, wanted.neurons, wanted.turns = (100, 500), 256, 2
    print(f"{wanted.images} images, {wanted.neurons} neurons; {torch.get_num_threads()} threads")
    print("| search | concepts | explanations, s | errors (wall, cpu) | stability (wall, cpu) |")
    print("|---|---:|---:|---:|---:|")
    worst = [0.0, 0.0]
    for search in wanted.searches:
        for n_concepts in wanted.concepts:
            problem = make(wanted.images, n_concepts, wanted.neurons)
            ratios = compare(search, problem, wanted.turns)
            worst = [max(pair) for pair in zip(worst, ratios, strict=True)]
    print(f"\nmost: errors {worst[0]:.2f} (goal {MOST_ERRORS}), stability {worst[1]:.2f} (goal {MOST_STABILITY})")
    return int(not wanted.small and (worst[0] > MOST_ERRORS or worst[1] > MOST_STABILITY))


Problem = tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]


def make(n_images: int, n_concepts: int, n_neurons: int) -> Problem:
    """Make a layer: each neuron a sum of five concepts plus noise."""
    present, active = (torch.cat(side) for side in zip(*MadeRows(n_concepts, n_neurons).blocks(n_images), strict=True))
    names = [f"concept {number}" for number in range(n_concepts)]
    return le.ActivationMatrix(active, layer="made"), le.ConceptMatrix(present, names), le.Split.random(n_images)


def compare(search: str, problem: Problem, n_turns: int) -> tuple[float, float]:
    """Print a row of the table; return the larger ratio of errors and of stability (0: it has none)."""
    ways = explainers(search)
    first = problem[0].select(problem[0].neurons[:40])
    for way in ways:  # compiles
        timed(lambda way=way: way.explain(first, *problem[1:]))
    turns = [[timed(lambda way=way: way.explain(*problem)) for way in ways] for _ in range(n_turns)]
    best = [tuple(map(min, zip(*times, strict=True))) for times in zip(*turns, strict=True)]
    shares = [tuple(with_ / without - 1 for with_, without in zip(each, best[0], strict=True)) for each in best[1:]]
    shares += [(0.0, 0.0)] * (2 - len(shares))
    told = [f"{wall:.2f}, {cpu:.2f}" for wall, cpu in shares]
    if len(ways) < 3:
        told[1] = "none"
    print(f"| {search} | {problem[1].n_concepts:,} | {best[0][0]:.2f} | {told[0]} | {told[1]} |", flush=True)
    return max(shares[0]), max(shares[1])


def explainers(search: str) -> Sequence[Any]:
    """Return the explainer without errors, with them, and with redraws where it has any."""
    if search == "beam":
        settings: dict[str, Any] = {"quantile": 0.95}
        return [le.CompositionalExplainer(**settings, n_groups=0), le.CompositionalExplainer(**settings)]
    bare: dict[str, Any] = {"search": search, "min_activity": 0.0, "n_groups": 0, "n_repeats": 0}
    without = {name: value for name, value in bare.items() if name != "n_groups"}
    again = {name: value for name, value in bare.items() if name != "n_repeats"}
    return [le.LinearExplainer(**settings) for settings in (bare, without, again)]


def timed(run: Callable[[], object]) -> Times:
    """Return the wall and the user seconds of a run."""
    wall, user = time.perf_counter(), os.times().user
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()
    return time.perf_counter() - wall, os.times().user - user


if __name__ == "__main__":
    sys.exit(main())
