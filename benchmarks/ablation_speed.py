"""How much faster is ablation scoring than the paper's formulation: the whole head, 100 steps of Adam per neuron.

Made-up activations, a linear head, labels drawn from its probabilities; the same process runs both. Prints seconds per
neuron, their ratio, and how far the scores differ when ours takes the same 100 steps.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

from linexp.ablation.losses import HeadLosses
from linexp.ablation.score.scorer import AblationScorer
from linexp.ablation.score.side import Side
from linexp.forward.partial import LinearTail

N_NEURONS, T = 2048, 1.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds: fewer images, classes and neurons")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    n_val, n_test, n_classes, n_neurons, n_ours, n_theirs = (
        (500, 1000, 100, 256, 32, 1) if given.small else (5000, 10000, 1000, N_NEURONS, 32, 1)
    )
    print(f"{n_val} val and {n_test} test images, {n_classes} classes, {n_neurons} neurons, {given.threads} threads")
    activations, head, labels, simulated = make(n_val + n_test, n_classes, n_neurons)
    parts = slice(0, n_val), slice(n_val, None)
    results: dict[str, tuple[float, list[float]]] = {}
    for scaling in ("norm", "optim", "optim-adam"):
        started = time.perf_counter()
        block = ours(scaling, activations, head, labels, simulated, parts, n_ours)
        results[scaling] = (time.perf_counter() - started) / n_ours, block
    started = time.perf_counter()
    literal = [theirs(activations, head, labels, simulated, parts, neuron) for neuron in range(n_theirs)]
    plain = (time.perf_counter() - started) / n_theirs
    print(f"{'whole head, 100 steps of Adam':32}{plain:10.4f} s/neuron   ratio 1")
    for scaling, (seconds, block) in results.items():
        mean = sum(block) / len(block)
        print(
            f"{'linexp, ' + scaling:32}{seconds:10.4f} s/neuron   ratio {plain / seconds:.0f}   mean score {mean:.4f}"
        )
    pairs = zip(results["optim-adam"][1], literal, strict=False)
    difference = max(abs(one - other) for one, other in pairs)
    print(f"the same 100 steps: scores differ by at most {difference:.1e} (the plain loop is in float32)")


def make(n_images: int, n_classes: int, n_neurons: int) -> tuple[Tensor, nn.Linear, Tensor, Tensor]:
    """Return activations like those behind a ReLU and pooling, a head, labels, and noisy simulations."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(n_images, n_neurons, generator=generator).relu_().square_()
    head = nn.Linear(n_neurons, n_classes)
    head.weight.data = torch.randn(n_classes, n_neurons, generator=generator) * 3 / n_neurons**0.5
    probabilities = ((activations - activations.mean(0)) @ head.weight.data.T).softmax(1)
    head.bias.data = -activations.mean(0) @ head.weight.data.T
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    noise = torch.randn(activations.shape, generator=generator) * 2 * activations.std(0)
    return activations, head, labels, 0.4 * (activations + noise)


def ours(
    scaling: str, activations: Tensor, head: nn.Linear, labels: Tensor, simulated: Tensor, parts: tuple, n: int
) -> list[float]:
    """Do what AblationScorer does once the labels are there: logits from the activations, then blocks of neurons."""
    tail = LinearTail(head.weight.detach().double(), head.bias.detach().double())
    neurons = range(n)
    losses = [
        HeadLosses.of(tail, tail.logits(activations[part]), labels[part], activations[part][:, :n], neurons, T)
        for part in parts
    ]
    scorer, found = AblationScorer(scaling=scaling, temperature=T), []
    for start in range(0, n, 32):
        columns = range(start, min(start + 32, n))
        sides = [
            Side(one, columns, simulated[part][:, columns].double(), activations[part][:, columns].double())
            for one, part in zip(losses, parts, strict=True)
        ]
        found += scorer._score_block(*sides)["values"].tolist()
    return found


def theirs(activations: Tensor, head: nn.Linear, labels: Tensor, simulated: Tensor, parts: tuple, neuron: int) -> float:
    """One neuron as the paper describes it: replace a column, run the head, step c and d by Adam; then test images."""
    sides = []
    for part in parts:
        features, targets = activations[part], labels[part]
        with torch.no_grad():
            original = nn.functional.cross_entropy(head(features) / T, targets, reduction="none")
        sides.append((features, targets, original, simulated[part][:, neuron]))
    mean = sides[0][0][:, neuron].mean()

    def change(side: int, values: Tensor) -> Tensor:
        features, targets, original, _ = sides[side]
        replaced = features.clone()
        replaced[:, neuron] = values
        after = nn.functional.cross_entropy(head(replaced) / T, targets, reduction="none")
        return (after - original).abs().sum()

    c, d = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
    adam = torch.optim.Adam([c, d], lr=0.01)
    head.requires_grad_(False)
    with torch.no_grad():
        unit = [change(side, mean.expand(len(sides[side][0]))) for side in (0, 1)]
    for _ in range(100):
        adam.zero_grad()
        (change(0, c * sides[0][3] + d) / unit[0]).backward()
        adam.step()
    with torch.no_grad():
        return 1 - float(change(1, c * sides[1][3] + d) / unit[1])


if __name__ == "__main__":
    main()
