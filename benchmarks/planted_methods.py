"""How often does each method recover what was planted? The third table of docs/comparing.md.

Neurons are one concept, an OR, an AND or an AND NOT of two, or a weighted sum of three, out of many independent
concepts, with noise, and behind a threshold as behind a ReLU. Every method explains the same neurons. Prints Markdown:
the share of neurons, in percent, of which a method says

- the truth: the same terms with the same signs, whatever the order and the weights;
- the same columns: terms that hold in the same images, whatever they are called (NOT (A OR B) for NOT A AND NOT B);
- the same concepts, whatever it does with them.

A negative weight of a term is a positive one of its negation; a term that is constant or of weight 0 says nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import linexp as le
from linexp.explanations import Columns, Concept

KINDS = ("single", "or", "and", "and-not", "sum")
# Noise (a neuron rises by 1 to 3), and whether activations below 0.5 are cut off.
CONDITIONS = {"noise 0.5": (0.5, None), "noise 1": (1.0, None), "noise 2": (2.0, None), "noise 1, cut": (1.0, 0.5)}
SHOWN = "noise 1"
METHODS: dict[str, Any] = {
    "`linear`": le.LinearExplainer(n_groups=0, n_repeats=0),
    "`linear`, swaps": le.LinearExplainer(search="swaps", n_groups=0, n_repeats=0),
    "`best`": le.BestConceptExplainer(n_groups=0),
    "`clip-dissect`": le.CLIPDissectExplainer(n_groups=0),
    "`clip-dissect`, cosine cubed": le.CLIPDissectExplainer("cos_similarity_cubed", n_groups=0),
    "`www`": le.WWWExplainer(n_groups=0),
    "`falcon`": le.FalconExplainer(n_groups=0),
    "`dissection`": le.DissectionExplainer(n_groups=0),
    "`dissection`, top 5 %": le.DissectionExplainer(quantile=0.95, n_groups=0),
    "`compositional`": le.CompositionalExplainer(n_groups=0),
    "`compositional`, top 5 %": le.CompositionalExplainer(quantile=0.95, n_groups=0),
    "`compositional`, top 20 %": le.CompositionalExplainer(quantile=0.8, n_groups=0),
    "`clustered`": le.ClusteredExplainer(n_groups=0),
    "`clustered`, two ranges": le.ClusteredExplainer(n_ranges=2, n_groups=0),
    "`invert`": le.InvertExplainer(n_groups=0),
    "`invert`, length 2": le.InvertExplainer(max_length=2, n_groups=0),
    "`random`": le.RandomConceptExplainer(n_groups=0),
}
Shares = tuple[float, float, float]
Oriented = frozenset[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--concepts", type=int, default=60)
    parser.add_argument("--neurons", type=int, default=40, help="of each kind")
    options = parser.parse_args()
    split = le.Split.random(options.images)
    print(
        f"{options.neurons} neurons of each kind, {options.concepts} concepts, {options.images} images, "
        f"{len(split.train)} of them to train on; load {os.getloadavg()[0]:.1f}\n"
    )
    found: dict[tuple[str, str, str], Shares] = {}
    for condition, (noise, threshold) in CONDITIONS.items():
        for seed, kind in enumerate(KINDS):
            planted = le.make_planted(
                options.images,
                options.concepts,
                options.neurons,
                noise=noise,
                seed=seed,
                kind=kind,
                threshold=threshold,
            )
            for method, explainer in METHODS.items():
                said = explainer.explain(planted.activations, planted.concepts, split)
                found[condition, kind, method] = compare(said, planted)
    print_kinds(found)
    print_conditions(found)


def compare(said: le.Explanations, planted: le.Planted) -> Shares:
    """Return the shares of neurons of which the truth, the same columns and the same concepts are said."""
    concepts = tuple(dict.fromkeys([*said.concepts, *planted.truth.concepts]))
    block = Columns(planted.concepts, concepts).block() > 0.5
    packed = {one: np.packbits(column) for one, column in zip(concepts, block.T.numpy(), strict=True)}
    constant = {one for one, column in zip(concepts, block.T, strict=True) if len(column.unique()) < 2}

    def formula(concept: Concept, positive: bool) -> le.Formula:
        one = concept if isinstance(concept, le.Formula) else le.Formula.of(concept)
        return one if positive else ~one

    def column(concept: Concept, positive: bool) -> bytes:
        bits = packed[concept]
        return (bits if positive else ~bits & np.packbits(np.ones(len(block), dtype=bool))).tobytes()

    def oriented(item: le.Explanation, view: Callable[[Concept, bool], Any]) -> Oriented:
        terms = (term for term in item.terms if abs(term.weight) > 1e-9 and term.concept not in constant)
        return frozenset(view(term.concept, term.weight > 0) for term in terms)

    hits = np.zeros(3)
    for one, truth in zip(said, planted.truth, strict=True):
        hits += [
            oriented(one, formula) == oriented(truth, formula),
            oriented(one, column) == oriented(truth, column),
            set(one.names) == set(truth.names),
        ]
    exact, same, named = (hits / len(said)).tolist()
    return exact, same, named


def print_kinds(found: dict[tuple[str, str, str], Shares]) -> None:
    print(f"{SHOWN}; in percent: the truth / the same columns / the same concepts\n")
    print(f"| method | {' | '.join(KINDS)} |\n|---|{'---:|' * len(KINDS)}")
    for method in METHODS:
        cells = (" / ".join(f"{100 * share:.0f}" for share in found[SHOWN, kind, method]) for kind in KINDS)
        print(f"| {method} | {' | '.join(cells)} |")


def print_conditions(found: dict[tuple[str, str, str], Shares]) -> None:
    print("\nthe same columns, in percent, mean of the four kinds that are one concept or formula / sums\n")
    print(f"| method | {' | '.join(CONDITIONS)} |\n|---|{'---:|' * len(CONDITIONS)}")
    for method in METHODS:
        cells: list[str] = []
        for condition in CONDITIONS:
            *logical, total = (100 * found[condition, kind, method][1] for kind in KINDS)
            cells.append(f"{np.mean(logical):.0f} / {total:.0f}")
        print(f"| {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
