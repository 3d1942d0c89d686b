"""All methods on one layer, judged alike: the first table of docs/comparing.md.

The layer before the classifier of EfficientNet-Lite0, recorded once by ``linexp explain --concepts text``, is explained
by labels and by words with every method, and judged on the test images: labels by the labels themselves, words (the
result's encoder finds them) by ConSE with Lite1. Prints Markdown: mean ± standard error over the same neurons, drawn
with seed 0, of correlation, ablation (norm) and the other metrics; terms, concepts named in them, and seconds. Methods
in which neurons depend on each other explain the whole layer, the others only these neurons; seconds are for so many.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import linexp as le
from linexp.results.tables import Cell, Measured, Table, as_markdown
from linexp.score import scorers_of
from photographs import EXPLAINER, JUDGE, MODEL, World, add_world, draw, open_world

METRICS = ("correlation", "cosine", "auprc", "f1", "iou")
# Methods whose answer for a neuron depends on the other neurons.
WHOLE_LAYER = (le.CLIPDissectExplainer, le.FalconExplainer, le.OthersExplainer)
METHODS: dict[str, Any] = {
    "`linear`": le.LinearExplainer(),
    "`linear`, swaps": le.LinearExplainer(search="swaps"),
    "`clip-dissect`": le.CLIPDissectExplainer(),
    "`invert`": le.InvertExplainer(),
    "`dissection`": le.DissectionExplainer(),
    "`compositional`": le.CompositionalExplainer(),
    "`clustered`": le.ClusteredExplainer(),
    "`www`": le.WWWExplainer(),
    "`splice`": le.SpLiCEExplainer(),
    "`falcon`": le.FalconExplainer(),
    "`best`": le.BestConceptExplainer(),
    "`random`": le.RandomConceptExplainer(),
    "`others`": le.OthersExplainer(),
}


@dataclass(frozen=True, eq=False)
class Found:
    """What a method says of the drawn neurons, and how long it took."""

    explanations: le.Explanations
    wall: float
    cpu: float
    n_neurons: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_world(parser)
    parser.add_argument("--neurons", type=int, default=128, help="how many, drawn with seed 0")
    options = parser.parse_args()
    world = open_world(options)
    neurons = draw(world.activations.n_neurons, options.neurons)
    store = None if options.store is None else le.Store(options.store)
    print(f"{len(neurons)} neurons, {len(world.split.test):,} test images, load {os.getloadavg()[0]:.1f}\n", flush=True)
    for title, concepts in (("labels, judged by labels", world.labels), (f"words by {EXPLAINER}", world.words)):
        found = dict(explain_all(world, concepts, neurons))
        if concepts is world.labels:
            judge = le.ConceptMatrix(concepts.values[world.seen], concepts.names, world.seen_images.fingerprint)
        else:
            title = f"{title}, judged by {JUDGE}"
            judge = ask_judge(world, [one.explanations for one in found.values()], store)
        print(as_markdown(Table(columns(), tuple(rows(world, found, judge)), title)), flush=True)


def explain_all(world: World, concepts: le.ConceptMatrix, neurons: list[int]) -> Iterator[tuple[str, Found]]:
    drawn = world.activations.select(neurons)
    for method, explainer in METHODS.items():
        if isinstance(explainer, le.SpLiCEExplainer) and not isinstance(concepts, le.EmbeddedConceptMatrix):
            continue
        given = world.activations if isinstance(explainer, WHOLE_LAYER) else drawn
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Presences are not all 0 or 1"
            )  # said of every method by formulas
            explainer.explain(world.activations.select(neurons[:20]), concepts, world.split)  # compiles
            started, spent = time.perf_counter(), cpu_seconds()
            explanations = explainer.explain(given, concepts, world.split)
        wall, cpu = time.perf_counter() - started, cpu_seconds() - spent
        yield method, Found(explanations.only(neurons), wall, cpu, given.n_neurons)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ask_judge(world: World, said: list[le.Explanations], store: le.Store | None) -> le.ConceptMatrix:
    """Return how much of every word that is said another network finds in the validation and test images."""
    encoder = le.load_encoder(f"conse:{JUDGE}")
    names = tuple(dict.fromkeys(name for one in said for name in one.names))
    source = le.TextConcepts(names, encoder, le.Calibration.shipped(encoder.name))
    return source.describe(world.seen_images, store=store)


def columns() -> tuple[str, ...]:
    return ("method", *METRICS, "ablation (norm)", "explained", "terms", "concepts", "neurons", "seconds", "CPU s")


def rows(world: World, found: dict[str, Found], judge: le.ConceptMatrix) -> Iterator[tuple[Cell, ...]]:
    n_val, n_seen = len(world.split.val), len(world.seen)
    # The scorer asks for training images, and there are none: two validation images stand for them.
    parts = le.Split(range(2), range(2, n_val), range(n_val, n_seen))
    recorded = world.activations.take(world.seen, world.images)
    model, outputs = le.load_model(MODEL), world.outputs[world.seen]
    ablation = le.AblationScorer("norm")
    for method, one in found.items():
        said = one.explanations
        simulated = le.simulate(said, judge)
        scores = [scorer.score(simulated, recorded, parts.test) for scorer in scorers_of(METRICS)]
        scores.append(
            ablation.score(simulated, recorded, parts, model, world.seen_images, labels=outputs, show_progress=False)
        )
        yield (
            method,
            *(Measured(score.mean, score.sem) for score in scores),
            said.n_with("explained"),
            f"{said.mean_terms:.2f}",
            f"{mean_named(said):.2f}",
            one.n_neurons,
            f"{one.wall:.1f}",
            f"{one.cpu:.1f}",
        )


def mean_named(said: le.Explanations) -> float:
    """Return how many different concepts an explanation names, formulas taken apart, in the mean of the explained."""
    return sum(len(item.names) for item in said) / max(said.n_with("explained"), 1)


if __name__ == "__main__":
    main()
