"""How much faster is recording than the plain loop people write: same network, same pictures, same activations.

Prints images/s of each variant in turn, several rounds, and the ratio of medians. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does

import numpy as np
import torch

import linexp as le
from linexp.forward.malloc import reuse_large_buffers

LAYER = "_avg_pooling"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds: fewer pictures, one round")
    small = parser.parse_args().small
    n_images, n_rounds = (64, 1) if small else (256, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (n_images, 224, 224, 3), dtype=np.uint8)
    images = le.ImageArray(pictures)
    model = le.load_model("efficientnet_lite0")
    variants: dict[str, Callable[[], torch.Tensor]] = {
        "plain loop, batch 32": lambda: plain_loop(model, images, 32),
        "record without folding": lambda: le.record(model, LAYER, images, engine="eager", show_progress=False).values,
        "record": lambda: le.record(model, LAYER, images, show_progress=False).values,
    }
    rounds: dict[str, list[float]] = {name: [] for name in [*variants, "record, buffers reused"]}
    results = {}
    for _ in range(n_rounds):
        for name, run in variants.items():
            rounds[name].append(n_images / seconds(run, results, name))
    reuse_large_buffers()  # cannot be undone, so it comes last
    for _ in range(n_rounds):
        name = "record, buffers reused"
        rounds[name].append(n_images / seconds(variants["record"], results, name))
    baseline = statistics.median(rounds["plain loop, batch 32"])
    for name, speeds in rounds.items():
        median = statistics.median(speeds)
        print(f"{name:26}{median:8.1f} images/s   ratio {median / baseline:.2f}")
    reference = results["plain loop, batch 32"]
    difference = (results["record"] - reference).abs().max() / reference.abs().max()
    print(f"largest difference of an activation: {difference:.1e} of the largest activation")


def seconds(run: Callable[[], torch.Tensor], results: dict[str, torch.Tensor], name: str) -> float:
    started = time.perf_counter()
    results[name] = run()
    return time.perf_counter() - started


def plain_loop(model: le.VisionModel, images: le.ImageArray, size: int) -> torch.Tensor:
    """Decode, stack, forward, pool in a hook."""
    kept: list[torch.Tensor] = []
    layer = model.module.get_submodule(LAYER)
    handle = layer.register_forward_hook(lambda _, __, output: kept.append(output.mean((2, 3))))
    with torch.no_grad():
        for start in range(0, len(images), size):
            rows = range(start, min(start + size, len(images)))
            model.module(torch.stack([model.preprocess(images[row]) for row in rows]))
    handle.remove()
    return torch.cat(kept)


if __name__ == "__main__":
    main()
