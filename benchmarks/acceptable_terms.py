"""What terms that people can accept cost: each such setting of the linear method, measured in test correlation.

Takes the same folders as ``search_frontier.py``. Each layer is explained by swaps, as it is and with each setting; what
is left of the mean length is then given to plain swaps by a higher price of a term, so that the last column says what
the setting costs beside what shorter explanations cost anyway. A neuron without a term counts as 0.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import linexp as le
from search_frontier import Source, bisect, read_sources

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sign=positive": {"sign": "positive"},
    "same=0.8": {"same": 0.8},
    "same=0.6": {"same": 0.6},
    "prefer=common": {"prefer": "common"},
    "prefer=general": {"prefer": "general"},
    "min_kept=0.5": {"min_kept": 0.5, "n_repeats": 10},
}


class Point:
    """What an explainer's explanations are worth."""

    def __init__(self, found: le.Explanations, source: Source) -> None:
        _, activations, concepts, split, _ = source
        living = [item.outcome != "constant" for item in found]
        self.terms = np.array([len(item.terms) for item in found])[living]
        self.n_synonyms = sum(len(term.synonyms) for item in found for term in item.terms)
        self.n_negative = sum(term.weight < 0 for item in found for term in item.terms)
        scored = le.CorrelationScorer().score(le.simulate(found, concepts), activations, split.test)
        self.test = np.nan_to_num(scored.values.double().numpy())[living]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the recorded run")
    parser.add_argument("results", type=Path, nargs="*", help="result folders of linexp explain")
    parser.add_argument("--neurons", type=int, default=320, help="neurons of each layer, evenly spread")
    wanted = parser.parse_args()
    print("| layer | setting | terms | below 0 | synonyms | test | to plain | plain, as short | cost, as short |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for title, activations, concepts, split, least in read_sources(wanted.folder, wanted.results):
        step = max(len(activations.neurons) // wanted.neurons, 1)
        usable = le.LinearExplainer(min_activity=least).find_usable(concepts, split)
        names = [name for name, kept in zip(concepts.names, usable.tolist(), strict=True) if kept]
        measure((title, activations.select(activations.neurons[::step]), concepts.only(names), split, 0.0))


def measure(source: Source) -> None:
    plain = run(source)
    for name, settings in SETTINGS.items():
        point = plain if name == "plain" else run(source, **settings)
        same = plain
        if point.terms.mean() < plain.terms.mean() - 0.005:
            same = bisect(
                lambda price: run(source, min_gain=price), partial(is_short, float(point.terms.mean())), n_steps=6
            )
        print(
            f"| {source[0]} | {name} | {point.terms.mean():.2f} | {point.n_negative} | {point.n_synonyms} "
            f"| {point.test.mean():.4f} | {told(point, plain)} | {same.test.mean():.4f} | {told(point, same)} |",
            flush=True,
        )


def run(source: Source, **settings: Any) -> Point:
    _, activations, concepts, split, least = source
    own = {"search": "swaps", "min_activity": least, "n_groups": 0, "n_repeats": 0, **settings}
    return Point(le.LinearExplainer(**own).explain(activations, concepts, split), source)


def is_short(length: float, point: Point) -> bool:
    return bool(point.terms.mean() <= length)


def told(point: Point, other: Point) -> str:
    """Return the difference in test correlation, paired, with its standard error over neurons."""
    gain = point.test - other.test
    return f"{gain.mean():+.4f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}"


if __name__ == "__main__":
    main()
