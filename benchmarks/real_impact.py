"""Top Impact of four layers of EfficientNet-Lite0 on a folder of ImageNet classes, from the first to the last.

Sub-folders are called by wnids. Of the layers in the middle some neurons are drawn by lot. Prints the table of
``linexp impact`` and writes what that writes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import linexp as le
from linexp.ablation.impact import BETAS
from linexp.ablation.labels import find_outputs
from linexp.forward.malloc import reuse_large_buffers
from linexp.report.impact import tell_impact

# Layer → neurons drawn; None: all.
LAYERS = {"_blocks.0": 16, "_blocks.4": 16, "_blocks.10": 16, "_avg_pooling": None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures, sub-folders called by wnids")
    parser.add_argument("--store", type=Path, required=True, help="where to keep what is done; it goes on there")
    parser.add_argument("--out", type=Path, default=Path("linexp-impact"))
    parser.add_argument("--images", type=int, help="measure on so many pictures only")
    options = parser.parse_args()
    reuse_large_buffers()
    images = le.ImageFolder(options.folder)
    labels = find_outputs("imagenet", images)
    model, store = le.load_model("efficientnet_lite0"), le.Store(options.store, tell=print)
    found = {
        layer: le.impact(
            model, layer, images, labels=labels, neurons=LAYERS[layer], n_images=options.images, store=store
        )
        for layer in reversed(LAYERS)  # the fastest first
    }
    tell_impact([found[layer] for layer in LAYERS], BETAS, options.out)


if __name__ == "__main__":
    main()
