"""A layer of the paper's size, 50,000 images x 8,438 concepts x 2,048 neurons: everything after the two matrices.

Rows are made in blocks from a seed, and the time that takes is left out. Concepts are sigmoids of low-rank logits, so
that they are correlated, mostly near 0, and some of them rare; each neuron is a sum of five of them plus noise. The
stages are those of ``LinearExplainer.explain`` with the paper's settings. Beside them stands the floor: the matrix
products of the training rows, PᵀP (its upper triangle) and PᵀQ, at the speed measured in the same run on one block.
Standard errors and one redraw of the images come after that, and are no part of the goal: the paper has none.
``--device cuda`` computes moments and the elastic net there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from linexp.solve import (
    Shortlist,
    Solution,
    accumulate_groups,
    accumulate_moments,
    jackknife,
    measure_columns,
    search_greedy,
    solve_elastic_net,
    solve_elastic_net_batched,
)
from linexp.solve.moments import CHUNK_ROWS, Moments
from linexp.solve.moments_sums import STRIP, full_precision

CPU = torch.device("cpu")
DIMS, TOPICS, TERMS = 64, 100, 5
MOST_FLOORS, MOST_FLOORS_GPU, MOST_GIB = 1.3, 2.0, 3.0
ERRORS, REDRAW = "standard errors", "one redraw (kept)"


@dataclass(frozen=True)
class MadeRows:
    """Rows of concepts and neurons that are the same whenever a block of them is asked for."""

    n_concepts: int
    n_neurons: int
    device: torch.device = CPU
    seed: int = 0

    def blocks(self, n_images: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the blocks of some images, the first of which has the number ``first``."""
        rng = torch.Generator().manual_seed(self.seed)
        topics = unit(torch.randn(TOPICS, DIMS, generator=rng))
        texts = unit(near(topics, self.n_concepts, rng))
        rarity = -4 - 8 * torch.rand(
            self.n_concepts, generator=rng
        )  # logit of a concept that has nothing to do with it
        terms = torch.randint(self.n_concepts, (TERMS, self.n_neurons), generator=rng)
        weights = 1 + torch.rand(TERMS, self.n_neurons, generator=rng)
        for start in range(first, first + n_images, CHUNK_ROWS):
            rng.manual_seed(self.seed + 1 + start)
            images = unit(near(topics, min(CHUNK_ROWS, first + n_images - start), rng))
            present = torch.addmm(rarity, images, texts.T, alpha=16).sigmoid_()
            active = 0.2 * torch.randn(len(images), self.n_neurons, generator=rng)
            for columns, weight in zip(terms, weights, strict=True):
                active += weight * present[:, columns]
            yield present.to(self.device), active.to(self.device)


@dataclass
class Clock:
    """Seconds of each stage, and of making rows, which is none."""

    device: torch.device = CPU
    stages: dict[str, float] = field(default_factory=dict[str, float])
    making: float = 0.0

    def time(self, stage: str, run: Callable[[], object]):
        """Run a stage and return what it does."""
        making, started = self.making, time.perf_counter()
        result = run()
        wait(self.device)
        took = time.perf_counter() - started - (self.making - making)
        self.stages[stage] = self.stages.get(stage, 0.0) + took
        return result

    def outside(self, blocks: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the blocks, taking note of the time it takes to make them."""
        source = iter(blocks)
        while True:
            started = time.perf_counter()
            wait(self.device)
            block = next(source, None)
            wait(self.device)
            self.making += time.perf_counter() - started
            if block is None:
                return
            yield block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few seconds; the goals are for the whole")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    small, device = options.small, torch.device(options.device)
    most_floors = MOST_FLOORS if device.type == "cpu" else MOST_FLOORS_GPU
    n_images, n_concepts, n_neurons = (20_000, 1500, 256) if small else (50_000, 8438, 2048)
    n_train, n_val = n_images * 7 // 10, n_images // 10
    explain(MadeRows(50, 64, device), 500, 100, Clock(device))  # compiles
    rows, clock = MadeRows(n_concepts, n_neurons, device), Clock(device)
    floors = [floor(rows, n_train)]
    notes = explain(rows, n_train, n_val, clock)
    floors.append(floor(rows, n_train))
    lowest, peak = min(floors), peak_gib()
    print(f"{n_images} images, {n_concepts} concepts, {n_neurons} neurons; {torch.get_num_threads()} threads, {device}")
    print(notes)
    beyond = {stage: clock.stages.pop(stage) for stage in (ERRORS, REDRAW)}
    for stage, seconds in clock.stages.items():
        print(f"{stage:24}{seconds:8.2f} s   {seconds / lowest:6.3f} of the floor")
    flops = n_train * n_concepts * (n_concepts + 2 * n_neurons) / 1e9
    total = sum(clock.stages.values())
    print(f"{'all after P':24}{total:8.2f} s   {total / lowest:6.3f} of the floor (goal {most_floors})")
    print(
        f"{'floor':24}{lowest:8.2f} s   {flops / lowest:.0f} GFLOP/s; before, after: {floors[0]:.2f}, {floors[-1]:.2f}"
    )
    for stage, seconds in beyond.items():
        print(f"{stage:24}{seconds:8.2f} s   {seconds / lowest:6.3f} of the floor")
    print(f"{'making rows, not counted':24}{clock.making:8.2f} s")
    print(f"{'peak memory':24}{peak:8.2f} GiB (goal {MOST_GIB})")
    if not small and (total > most_floors * lowest or peak > MOST_GIB):
        raise SystemExit(1)


def explain(rows: MadeRows, n_train: int, n_val: int, clock: Clock) -> str:
    """Go through the stages; no raw moments are kept once they are standardised."""
    train_rows = lambda: clock.outside(rows.blocks(n_train))  # noqa: E731
    usable = clock.time(
        "range of the concepts", lambda: measure_columns(present for present, _ in train_rows()).top_mean >= 0.5
    )
    guide, found, scales = find(rows, n_train, n_val, clock)
    by, shortlist = [scale.numpy() for scale in scales], Shortlist.of_terms(found)

    def find_errors():
        parts = (train_rows(), clock.outside(rows.blocks(n_val, n_train)))
        groups = (accumulate_groups(part, 20, shortlist) for part in parts)
        return jackknife(*([group.standardise(*by) for group in side] for side in groups), found)

    errors = clock.time(ERRORS, find_errors)
    clock.time(REDRAW, lambda: explain_again(rows, n_train * 3 // 4, n_val, clock))
    return (
        f"{int(usable.sum())} concepts usable, {(guide != 0).any(1).sum()} in an elastic net, "
        f"{(guide != 0).sum(0).mean():.1f} per neuron; {(found.concepts >= 0).sum(1).mean():.2f} terms, val "
        f"{np.nanmean(found.val_correlation):.3f} ± {np.nanmedian(errors.val_error):.3f}"
    )


Scales = tuple[Tensor, Tensor]


def measure(
    clock: Clock, stage: str, blocks: Iterable[tuple[Tensor, Tensor]], scales: Scales | None = None
) -> tuple[Moments, Scales]:
    """Return moments in units of the scales, their own unless these are given."""
    raw = clock.time(stage, lambda: accumulate_moments(blocks))
    chosen = scales or (raw.concept_variance.sqrt(), raw.neuron_variance.sqrt())
    return clock.time("standardise", partial(raw.standardise, *chosen)), chosen


def find(rows: MadeRows, n_train: int, n_val: int, clock: Clock) -> tuple[np.ndarray, Solution, Scales]:
    """Go through the stages from the range of the concepts to the terms."""
    train, scales = measure(clock, "train moments", clock.outside(rows.blocks(n_train)))
    guide = clock.time("elastic net", lambda: solve(train, rows.device))
    val, _ = measure(clock, "val moments", clock.outside(rows.blocks(n_val, n_train)), scales)
    return guide, clock.time("greedy search", lambda: search_greedy(train, val, guide)), scales


def explain_again(rows: MadeRows, n_train: int, n_val: int, clock: Clock) -> None:
    """Do what a redraw of the images does; which images it takes is all the same to its speed."""
    inner = Clock(rows.device)
    find(rows, n_train, n_val, inner)
    clock.making += inner.making


def solve(train: Moments, device: torch.device) -> np.ndarray:
    parts = (train.gram, train.cross, train.neuron_variance)
    if device.type == "cpu":
        return solve_elastic_net(*(part.numpy() for part in parts)).weights
    return solve_elastic_net_batched(*(part.to(device) for part in parts)).weights


def floor(rows: MadeRows, n_train: int) -> float:
    """Return the seconds that the products of the training rows take at the speed of those of one block."""
    present, active = next(rows.blocks(CHUNK_ROWS))
    room = torch.empty(STRIP * present.shape[1], device=rows.device)
    cross = torch.empty(present.shape[1], active.shape[1], device=rows.device)

    def multiply() -> None:
        for start in range(0, present.shape[1], STRIP):
            left, right = present[:, start : start + STRIP], present[:, start:]
            shape = left.shape[1], right.shape[1]
            torch.mm(left.T, right, out=room[: shape[0] * shape[1]].view(shape))
        torch.mm(present.T, active, out=cross)
        wait(rows.device)

    with full_precision(rows.device.type):
        multiply()
        times: list[float] = []
        for _ in range(3):
            started = time.perf_counter()
            multiply()
            times.append(time.perf_counter() - started)
    return sorted(times)[1] * n_train / CHUNK_ROWS


def wait(device: torch.device) -> None:
    """Let what was asked of a GPU come to an end."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def near(topics: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return vectors scattered about random topics."""
    chosen = torch.randint(len(topics), (count,), generator=rng)
    return topics[chosen] + 0.1 * torch.randn(count, topics.shape[1], generator=rng)


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)


def peak_gib() -> float:
    """Return the most memory this process has held at a time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


if __name__ == "__main__":
    main()
