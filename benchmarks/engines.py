"""How fast each engine runs networks on this machine's CPU: images/s as ratios to the plain module, interleaved.

Random weights and inputs: only the arithmetic counts. Each line is one network at one batch size; every engine is
opened once, then all take turns. Needs the extra ``fast``; MobileNetV3 also timm, and is left out without it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does

import torch
from torch import Tensor, nn

from linexp.forward import reuse_large_buffers
from linexp.forward.engines import ENGINES, N_TRIED
from linexp.forward.hooks import evaluating
from linexp.forward.units import Channels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--engines", nargs="+", default=["torch", "onnxruntime", "compile"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each engine in each round, about")
    given = parser.parse_args()
    reuse_large_buffers()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; times the plain module's speed")
    print(f"{'network':18}{'batch':>6}{'plain, img/s':>14}" + "".join(f"{name:>14}" for name in given.engines))
    for name in given.networks:
        try:
            module, layer = NETWORKS[name]()
        except ImportError as error:
            print(f"{name:18}left out: {error}")
            continue
        for size in given.batches:
            speeds = measure(module.eval(), layer, size, given.engines, given.rounds, given.seconds)
            plain = statistics.median(speeds["plain"])
            ratios = [statistics.median(speeds[one]) / plain for one in given.engines]
            print(f"{name:18}{size:6}{plain:14.1f}" + "".join(f"{ratio:14.2f}" for ratio in ratios), flush=True)


def measure(
    module: nn.Module, layer: str, size: int, engines: list[str], n_rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return images/s of the plain module and of each engine, a number for each round."""
    batch = torch.randn(size, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    layers, units = {layer: module.get_submodule(layer)}, Channels()

    def read(name: str, output: Any, n_images: int) -> Tensor:
        return units.read(output, name, n_images)

    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        runs: dict[str, Callable[[], Any]] = {"plain": lambda: module(batch)}
        for engine in engines:
            example = torch.cat([batch] * N_TRIED)[:N_TRIED]
            runner = stack.enter_context(ENGINES[engine]().open(module, layers, example, read))
            runs[engine] = lambda run=runner.run: run(batch)
        speeds: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run()
        for _ in range(n_rounds):
            for name, run in runs.items():
                speeds[name].append(size * repeats(run, seconds))
    return speeds


def repeats(run: Callable[[], Any], seconds: float) -> float:
    """Return how often a second something runs."""
    started, n_runs = time.perf_counter(), 0
    while time.perf_counter() - started < seconds or n_runs < 2:
        run()
        n_runs += 1
    return n_runs / (time.perf_counter() - started)


def efficientnet_lite0() -> tuple[nn.Module, str]:
    import linexp as le

    return le.load_model("efficientnet_lite0").module, "_avg_pooling"


def resnet(kind: str, depths: list[int], sizes: list[int]) -> tuple[nn.Module, str]:
    from transformers import ResNetConfig, ResNetModel

    return ResNetModel(ResNetConfig(layer_type=kind, depths=depths, hidden_sizes=sizes)), "encoder"


def vit_b16() -> tuple[nn.Module, str]:
    from transformers import ViTConfig, ViTModel

    return ViTModel(ViTConfig(), add_pooling_layer=False), "layernorm"


def siglip_b16() -> tuple[nn.Module, str]:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    model = SiglipVisionModel(SiglipVisionConfig(hidden_size=768, num_hidden_layers=12, num_attention_heads=12))
    return model, next(name for name, _ in model.named_modules() if name.endswith("post_layernorm"))


def mobilenet_v3() -> tuple[nn.Module, str]:
    import timm

    return timm.create_model("mobilenetv3_large_100"), "conv_head"


NETWORKS: dict[str, Callable[[], tuple[nn.Module, str]]] = {
    "EfficientNet-Lite0": efficientnet_lite0,
    "MobileNetV3": mobilenet_v3,
    "ResNet-18": lambda: resnet("basic", [2, 2, 2, 2], [64, 128, 256, 512]),
    "ResNet-50": lambda: resnet("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048]),
    "ViT-B/16": vit_b16,
    "SigLIP-B/16": siglip_b16,
}


if __name__ == "__main__":
    main()
