"""What explaining a layer by formulas costs, as ratios to a plain loop, and how far beams are from the optimum.

Without arguments a planted problem of the size of EfficientNet-Lite0's head on Tiny-ImageNet; with a file, recorded
activations and labels (numpy's .npz: activations, labels_concepts, concept_names, train, val, test). Each method
explains all neurons; the loop, numpy on whole columns, one formula after the other as the definitions have it, explains
a few of them, and finds the same. Prints the load of the machine, since it decides the seconds, not the ratios.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

import linexp as le
from linexp.solve import AND, AND_NOT, OR, BeamSearch, pack_columns, search_iou

METHODS = {
    "dissection": le.DissectionExplainer(),
    "compositional": le.CompositionalExplainer(),
    "invert, beam 3": le.InvertExplainer(),
    "invert, beam 5": le.InvertExplainer(beam=5),
    "clustered": le.ClusteredExplainer(),
}
Columns = NDArray[np.bool_]
Score = Callable[[Columns], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="recorded activations and labels")
    parser.add_argument("--small", action="store_true", help="a few seconds")
    parser.add_argument("--neurons", type=int, default=2, help="neurons for the loop")
    parser.add_argument("--optimum", type=int, default=0, help="problems on which the optimum is asked, too")
    options = parser.parse_args()
    activations, concepts, split = load(options.file) if options.file else make(small=options.small)
    print(f"{activations.n_images} images, {concepts.n_concepts} concepts, {activations.n_neurons} neurons")
    for explainer in METHODS.values():  # compiles
        explainer.explain(activations.select(activations.neurons[:2]), concepts, split)
    titles = f"{'loop, s/neuron':>16}{'ratio':>8}{'load':>7}{'MiB':>7}"
    print(f"{'method':16}{'seconds':>9}{'CPU s':>8}{'test corr.':>12}{titles}")
    for name, explainer in METHODS.items():
        spent = cpu_seconds()
        seconds, found = timed(partial(explainer.explain, activations, concepts, split))
        spent = cpu_seconds() - spent
        simulated = le.simulate(found, concepts)
        mean = le.CorrelationScorer().score(simulated, activations, split.test).mean
        loop = per_neuron(explainer, activations, concepts, split, found, options.neurons)
        ratio = f"{loop * activations.n_neurons / seconds:.0f}" if loop else ""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        shown = f"{loop:16.2f}" if loop else f"{'':16}"
        told = f"{shown}{ratio:>8}{os.getloadavg()[0]:7.1f}{memory:7}"
        print(f"{name:16}{seconds:9.1f}{spent:8.1f}{mean:12.4f}{told}", flush=True)
    if options.optimum:
        ask_optimum(options.optimum)


def make(*, small: bool) -> tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]:
    n_images, n_concepts, n_neurons = (2000, 100, 64) if small else (10_000, 331, 1280)
    planted = le.make_planted(n_images, n_concepts, n_neurons, n_terms=5, noise=2.0)
    return planted.activations, planted.concepts, le.Split.random(n_images)


def load(path: Path) -> tuple[le.ActivationMatrix, le.ConceptMatrix, le.Split]:
    stored = np.load(path)
    names = [str(name) for name in stored["concept_names"]]
    concepts = le.ConceptMatrix(stored["labels_concepts"].astype(np.float32), names)
    activations = le.ActivationMatrix(stored["activations"].astype(np.float32), layer="head")
    return activations, concepts, le.Split(stored["train"], stored["val"], stored["test"])


def per_neuron(
    explainer: Any,
    activations: le.ActivationMatrix,
    concepts: le.ConceptMatrix,
    split: le.Split,
    found: le.Explanations,
    n_neurons: int,
) -> float | None:
    """Return the seconds that a loop takes for a neuron, having checked that it finds as good a formula."""
    if isinstance(explainer, le.ClusteredExplainer):
        return None
    columns = concepts.values[split.train].bool().numpy()
    total = 0.0
    for neuron in range(n_neurons):
        line = activations.values[split.train][:, neuron].double().numpy()
        seconds, best = timed(lambda line=line: search(explainer, columns, line))
        measure = found.items[neuron].measure
        assert measure is not None
        assert measure.value >= best - 1e-9, (neuron, measure, best)
        total += seconds
    return total / n_neurons


def search(explainer: Any, columns: Columns, line: NDArray[np.float64]) -> float:
    """Return the best score of a beam search that makes every formula and measures it."""
    n_rows, n_columns = columns.shape
    if isinstance(explainer, le.InvertExplainer):
        ranks = rankdata(line)

        def score(rows: Columns) -> float:
            count = int(rows.sum())
            if not 0 < count <= explainer.max_fraction * n_rows:
                return -1.0
            return (ranks[rows].sum() - count * (count + 1) / 2) / (count * (n_rows - count))
    else:
        active = line > np.quantile(line, explainer.quantile)

        def score(rows: Columns) -> float:
            return float((rows & active).sum() / max((rows | active).sum(), 1))

    signed = isinstance(explainer, le.InvertExplainer)
    length, width = getattr(explainer, "max_length", 1), getattr(explainer, "beam", 1)
    leaves = [*columns.T, *(~columns.T if signed else ())]
    kept = best_of([(score(rows), rows) for rows in leaves], width)
    for _ in range(length - 1):
        new = list(kept)
        for _, rows in kept:
            for column in range(n_columns):
                one = columns[:, column]
                joined = [rows & one, rows & ~one, rows | one, *([rows | ~one] if signed else [])]
                new += [(score(each), each) for each in joined]
        kept = best_of(new, width)
    return kept[0][0]


def best_of(found: list[tuple[float, Columns]], width: int) -> list[tuple[float, Columns]]:
    kept: list[tuple[float, Columns]] = []
    for one in sorted(found, key=lambda pair: -pair[0]):
        if not any(np.array_equal(one[1], other) for _, other in kept):
            kept.append(one)
        if len(kept) == width:
            break
    return kept


def ask_optimum(n_problems: int) -> None:
    """Print how often, and by how much, a beam of five stays below the optimum, which a beam without limit finds."""
    gaps: list[float] = []
    for seed in range(n_problems):
        rng = np.random.default_rng(seed)
        columns = torch.from_numpy(rng.random((60, 8)) < rng.uniform(0.1, 0.6, 8))
        active = torch.from_numpy(rng.random(60) < 0.25)
        if seed % 2:
            active = (columns[:, 0] & ~columns[:, 1]) | columns[:, 2] ^ torch.from_numpy(rng.random(60) < 0.1)
        five = BeamSearch(3, 5, 5, (AND, AND_NOT, OR))
        packed = pack_columns([columns]), pack_columns([active[:, None]])
        beams = (search_iou(*packed, 60, one) for one in (five, replace(five, beam=5000, first_beam=5000)))
        ours, best = (float(beam.scores[0, 0]) for beam in beams)
        gaps.append(best - ours)
    below = np.array(gaps) > 1e-12
    print(
        f"a beam of 5 on {n_problems} small problems: below the optimum in {below.mean():.0%}, by {np.mean(gaps):.4f} "
        f"IoU in the mean and {max(gaps):.4f} at most"
    )


def cpu_seconds() -> float:
    """Return what all threads of this process have computed so far, which other work on the machine adds little to."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
