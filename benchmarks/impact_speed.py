"""What removing neurons one by one costs beyond the forward passes that cannot be avoided.

EfficientNet-Lite0 on made-up inputs. For each layer: milliseconds per removal (one neuron, one image) of ``le.impact``,
everything included; of the bare part of the network behind the layer, written out by hand, on ready batches of the same
size, batch normalisations folded in both; and of the whole network, which is what a splice costs. All in one process.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import linexp as le
from linexp.forward.engines import Fused
from linexp.forward.hooks import evaluating
from linexp.forward.layers import find_layers
from linexp.forward.malloc import reuse_large_buffers

STACK, MOST_IMAGES = 64, 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds: few images and neurons")
    parser.add_argument("--blocks", type=int, nargs="*", default=[0, 4, 10, 14], help="behind which blocks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=30.0, help="roughly, for each layer")
    options = parser.parse_args()
    reuse_large_buffers()
    model = le.load_model("efficientnet_lite0", device=options.device).module
    inputs = torch.randn(
        STACK if options.small else MOST_IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        labels = torch.cat([model(part.to(options.device)).argmax(1).cpu() for part in inputs.split(8)])
    print("| behind | FLOPs | removals | le.impact | bare part | ratio | GFLOP/s | whole network | faster |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for block in options.blocks:
        measure(model, block, inputs, labels, 2 if options.small else options.seconds, options.device)
    if not options.small:
        measure_head(model, inputs, labels, options.device)


def measure(model: nn.Module, block: int, inputs: Tensor, labels: Tensor, seconds: float, device: str) -> None:
    """Print a line for the neurons of one block."""
    layer = f"_blocks.{block}"
    output = behind_stem(model, inputs[:8].to(device), block)
    bare, flops = bare_part(model, layer, block, inputs[:STACK], device)
    n_neurons = max(1, min(output.shape[1], int(seconds / bare / STACK)))
    inputs = inputs[: max(STACK, int(seconds / bare / n_neurons))]

    def run() -> le.Impact:
        return le.impact(
            model, layer, inputs, labels=labels[: len(inputs)], neurons=n_neurons, temperature=1.0, show_progress=False
        )

    run_seconds = clock(run, device, 1) / (n_neurons * len(inputs))
    bare = min(
        bare, bare_part(model, layer, block, inputs[:STACK], device)[0]
    )  # before and after: the machine may slow down
    whole = clock(lambda: whole_network(model, inputs[:STACK].to(device)), device, 2) / STACK
    print(
        f"| block {block} | {flops / 1e9:.2f} G | {n_neurons * len(inputs):,} | {1e3 * run_seconds:.2f} ms "
        f"| {1e3 * bare:.2f} ms | {run_seconds / bare:.2f} | {flops / bare / 1e9:.0f} | {1e3 * whole:.2f} ms "
        f"| {whole / run_seconds:.1f} |",
        flush=True,
    )


def behind_stem(model: nn.Module, inputs: Tensor, block: int) -> Tensor:
    """Return what a block returns."""
    with evaluating(model):
        x = model._swish(model._bn0(model._conv_stem(inputs)))
        for one in model._blocks[: block + 1]:
            x = one(x)
    return x


def after(model: nn.Module, x: Tensor, block: int) -> Tensor:
    """Return the logits from what a block returned: the part behind it, by hand."""
    for one in model._blocks[block + 1 :]:
        x = one(x)
    x = model._swish(model._bn1(model._conv_head(x)))
    return model._fc(model._avg_pooling(x).flatten(1))


def bare_part(model: nn.Module, layer: str, block: int, inputs: Tensor, device: str) -> tuple[float, float]:
    """Return the seconds per image of the part behind a block, on batches that are ready, and its FLOPs."""
    layers = {**find_layers(model, [layer]), "": model}
    with Fused().open(model, layers, inputs[:3].to(device), lambda _, output, __: output.clone()) as runner:
        x = behind_stem(model, runner.prepare(inputs.to(device)), block)
        with FlopCounterMode(display=False) as counter:
            after(model, x[:1], block)
        return clock(lambda: after(model, x, block), device, 5) / len(x), counter.get_total_flops()


def measure_head(model: nn.Module, inputs: Tensor, labels: Tensor, device: str) -> None:
    """Print a line for the layer that only a linear head follows, where nothing has to run."""

    def run() -> le.Impact:
        return le.impact(model, "_avg_pooling", inputs, labels=labels, temperature=1.0, show_progress=False)

    found = run()  # compiles once
    seconds = clock(run, device, 1) / (found.n_neurons * len(inputs))
    whole = clock(lambda: whole_network(model, inputs[:STACK].to(device)), device, 2) / STACK
    print(
        f"| pooling | – | {found.n_neurons * len(inputs):,} | {1e3 * seconds:.4f} ms | – | – | – "
        f"| {1e3 * whole:.2f} ms | {whole / seconds:.0f} |"
    )


def whole_network(model: nn.Module, batch: Tensor) -> Tensor:
    """Run the whole network as it is."""
    with evaluating(model):
        return torch.cat([model(part) for part in batch.split(16)])


def clock(run: Callable[[], object], device: str, times: int) -> float:
    """Return the least of some durations, in seconds."""
    found: list[float] = []
    for _ in range(times):
        if device != "cpu":
            torch.cuda.synchronize()
        started = time.perf_counter()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    main()
