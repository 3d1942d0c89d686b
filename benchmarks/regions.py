"""Explanations of single positions: linear, dissection and compositional, by masks and by colours, in one table.

    python benchmarks/regions.py CAMVID [--layers _blocks.4 _blocks.10 _bn1] [--neurons N]

CAMVID holds train, val and test, each with images and masks (a PNG of the picture's name; values 0 to 10 are the
classes below, 11 is unlabelled). Fitted on train, terms chosen on val, every number of the table from test.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch

import linexp as le

NAMES = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]


def correlation(explanations: le.Explanations, concepts: le.ConceptMatrix, recorded: le.ActivationMatrix, rows: object):
    """Return the mean correlation over regions, its standard error over neurons, and the neurons with a number."""
    scores = le.CorrelationScorer().score(le.simulate(explanations, concepts), recorded, rows)
    return f"{scores.mean:.4f} ± {scores.sem:.4f} ({len(scores.values) - scores.n_undefined} neurons)"


def lines(recorded: le.ActivationMatrix, images: le.Images, split: le.Split, masks: le.LabelMaps) -> Iterator[str]:
    """Yield a line of the table for each method."""
    rows = split.for_rows(recorded)
    sources = {"masks": le.PixelConcepts(masks), "colours": le.PixelConcepts(le.ColourConcepts())}
    methods = {
        "linear greedy": le.LinearExplainer(n_groups=0, n_repeats=0),
        "linear swaps": le.LinearExplainer(search="swaps", n_groups=0, n_repeats=0),
        "dissection": le.DissectionExplainer(n_groups=0),
        "compositional": le.CompositionalExplainer(n_groups=0),
    }
    for source, concepts in ((name, one.describe(images, rows=recorded)) for name, one in sources.items()):
        for name, method in methods.items():
            if source == "colours" and name in ("dissection", "compositional"):
                continue
            start, user = time.perf_counter(), time.process_time()
            found = method.explain(recorded, concepts, rows)
            seconds, cpu = time.perf_counter() - start, time.process_time() - user
            told = correlation(found, concepts, recorded, rows.test)
            if isinstance(method, (le.DissectionExplainer, le.CompositionalExplainer)):
                tested = [one.value for one in method.measure_test(found, recorded, concepts, rows) if one]
                detectors = [item for item in found if item.measure and item.measure.value >= 0.04]
                told += (
                    f", test IoU {sum(tested) / max(len(tested), 1):.3f}, {len(detectors)} with IoU of 0.04 and more"
                )
                told += f" on train, {len({str(item.concepts[0]) for item in detectors})} different"
            terms = sum(len(item.terms) for item in found) / len(found)
            yield f"{source:8} {name:14} {terms:.2f} terms, {told}; {seconds:.1f} s ({cpu:.1f} s of processors)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", nargs="+", default=["_blocks.4", "_blocks.10", "_bn1"])
    parser.add_argument("--store", type=Path, help="folder to keep recordings in")
    parser.add_argument("--neurons", type=int, help="only the first of each layer")
    asked = parser.parse_args()
    files: list[Path] = []
    parts: dict[str, range] = {}
    for part in ("train", "val", "test"):
        found = sorted((asked.folder / part / "images").iterdir())
        parts[part] = range(len(files), len(files) + len(found))
        files += found
    images, split = le.ImageFiles(files), le.Split(*map(list, parts.values()))
    masks = le.LabelMaps(asked.folder, NAMES, ignore=11)
    store = None if asked.store is None else le.Store(asked.store)
    recorded = le.record_layers(le.load_model("efficientnet_lite0"), asked.layers, images, pool="grid", store=store)
    means = le.record_layers(le.load_model("efficientnet_lite0"), asked.layers, images, store=store)
    for layer, cells in recorded.items():
        chosen = cells.select(cells.neurons[: asked.neurons])
        assert chosen.regions is not None
        print(f"\n{layer}: {chosen.n_neurons} channels, {chosen.regions.height} x {chosen.regions.width} cells, "
              f"{len(split.for_rows(chosen).test)} of them on {len(split.test)} test images")  # fmt: skip
        by_image = le.PixelConcepts(masks).describe(images)
        whole = le.LinearExplainer(n_groups=0, n_repeats=0).explain(
            means[layer].select(chosen.neurons), by_image, split
        )
        by_cell = le.PixelConcepts(masks).describe(images, rows=chosen)
        rows = split.for_rows(chosen).test
        print(f"masks    fitted on means of images, applied to cells: {correlation(whole, by_cell, chosen, rows)}")
        for line in lines(chosen, images, split, masks):
            print(line, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
