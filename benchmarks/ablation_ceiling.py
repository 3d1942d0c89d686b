"""What the recorded activations themselves score in the place of a simulation, in layers more and less deep.

EfficientNet-Lite0 on a folder of ImageNet classes (sub-folders called by wnids), with least-squares scaling. Prints
Markdown: mean ± standard error over neurons, the lowest and the highest, with every position set to the value ("set"),
and the mean with the pattern kept ("shift").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import linexp as le
from linexp.concepts.vocabulary.wordnet import imagenet_classes

MODEL = "efficientnet_lite0"
LAYERS = ("_bn1", "_blocks.15", "_blocks.10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures, sub-folders called by wnids")
    parser.add_argument("--every", type=int, default=40, help="take every n-th picture only")
    parser.add_argument("--neurons", type=int, default=8, help="how many neurons of each layer, drawn with seed 0")
    options = parser.parse_args()
    pictures = le.ImageFolder(options.folder)
    rows = range(0, len(pictures), options.every)
    images = le.ImageSubset(pictures, list(rows))
    place = {one.wnid: number for number, one in enumerate(imagenet_classes())}
    wnids = sorted(path.name for path in options.folder.iterdir() if path.is_dir())
    outputs = [place[wnids[(pictures.labels or ())[row]]] for row in rows]
    split = le.Split.random(len(images), seed=0)
    model = le.load_model(MODEL)
    recorded = le.record_layers(model, LAYERS, images, show_progress=False)
    print(f"{len(split.val)} val and {len(split.test)} test images\n")
    print("| layer | set | from | to | shift |\n|---|---:|---:|---:|---:|")
    for layer, whole in recorded.items():
        drawn = np.random.default_rng(0).permutation(whole.n_neurons)[: options.neurons]
        some = whole.select(sorted(drawn.tolist()))
        by_set, by_shift = (
            le.AblationScorer("norm", replace=how).score(
                some, some, split, model, images, labels=outputs, show_progress=False
            )
            for how in ("set", "shift")
        )
        shown = [f"{one.mean:.3f} ± {one.sem:.3f}" for one in (by_set, by_shift)]
        ends = f"{by_set.defined.min():.2f} | {by_set.defined.max():.2f}"
        print(f"| `{layer}` | {shown[0]} | {ends} | {shown[1]} |", flush=True)


if __name__ == "__main__":
    main()
