"""How well ``Term.kept`` says how often another split of the same images would choose the term again.

Takes the folder of a recorded run with ``tinyimagenet_effnetlite0_head.npz`` (activations, concepts) and, if wanted,
result folders written by ``linexp explain`` or ``linexp demo``. Explains the same neurons under several seeds of
``Split.random`` by every search, and prints the mean of ``kept`` over all terms beside the share of terms that an
explanation has in common with those of each other seed. Exits with 1 if the two are further apart than 0.05 anywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

import linexp as le
from linexp.explainers.linear import Search
from linexp.results.folder import load_run

MOST_APART = 0.05


@dataclass(frozen=True, eq=False)
class Problem:
    """One layer, some of its neurons, and how rare a concept may be there."""

    title: str
    activations: le.ActivationMatrix
    concepts: le.ConceptMatrix
    min_activity: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    parser.add_argument("results", type=Path, nargs="*", help="result folders of linexp explain")
    parser.add_argument("--neurons", type=int, default=112, help="neurons of each layer, evenly spaced")
    parser.add_argument("--seeds", type=int, default=4, help="splits compared with each other")
    parser.add_argument("--repeats", type=int, default=10, help="redraws of each explanation")
    parser.add_argument("--searches", nargs="*", default=get_args(Search), help="which searches")
    wanted = parser.parse_args()
    print("| layer | search | mean terms | mean of kept | chosen again by another seed | apart |")
    print("|---|---|---:|---:|---:|---:|")
    furthest = 0.0
    for problem in read_problems(wanted.folder, wanted.results, wanted.neurons):
        for search in wanted.searches:
            furthest = max(furthest, compare(problem, search, wanted.seeds, wanted.repeats))
    print(f"\nfurthest apart: {furthest:.3f} (goal {MOST_APART})")
    return int(furthest > MOST_APART)


def read_problems(folder: Path, results: list[Path], n_neurons: int) -> Iterator[Problem]:
    arrays = np.load(folder / "tinyimagenet_effnetlite0_head.npz", allow_pickle=False)
    names = [str(name) for name in arrays["concept_names"]]
    activations = le.ActivationMatrix(arrays["activations"].astype(np.float32), layer="head")
    yield Problem("recorded run", some(activations, n_neurons), le.ConceptMatrix(arrays["labels_concepts"], names), 0.5)
    for result in results:
        run = load_run(result)
        least = run.settings["explainer"]["min_activity"]
        yield Problem(result.name, some(run.activations, n_neurons), run.concepts, least)


def some(activations: le.ActivationMatrix, n_neurons: int) -> le.ActivationMatrix:
    """Return evenly spaced neurons."""
    step = max(activations.n_neurons // n_neurons, 1)
    return activations.select(activations.neurons[::step][:n_neurons])


def compare(problem: Problem, search: Search, n_seeds: int, n_repeats: int) -> float:
    """Print what is kept and what another seed chooses again; return how far the two are apart."""
    explainer = le.LinearExplainer(search=search, min_activity=problem.min_activity, n_groups=0, n_repeats=n_repeats)
    splits = [le.Split.random(problem.activations.n_images, seed) for seed in range(n_seeds)]
    found = [explainer.explain(problem.activations, problem.concepts, split) for split in splits]
    kept = np.mean([term.kept for one in found for item in one for term in item.terms])
    again = np.mean([in_common(one, other) for one in found for other in found if other is not one])
    terms = np.mean([one.mean_terms for one in found])
    apart = float(kept - again)
    print(f"| {problem.title} | {search} | {terms:.2f} | {kept:.3f} | {again:.3f} | {apart:+.3f} |", flush=True)
    return abs(apart)


def in_common(one: le.Explanations, other: le.Explanations) -> float:
    """Return the share of all terms that another's explanation of the same neuron has too."""
    return float(
        np.mean([term.concept in mate.concepts for item, mate in zip(one, other, strict=True) for term in item.terms])
    )


if __name__ == "__main__":
    sys.exit(main())
