"""Running sums of products of centred columns: the one place where rows are multiplied."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.threads import share
from linexp.solve.moments_columns import Columns, zeros

# Concepts multiplied at a time: enough for a product to run at full speed, few enough that half of a symmetric one is
# left out and that pieces stay small.
STRIP = 512
# Neurons multiplied at a time: always so many, with zeros if need be, because a product of another shape may round
# otherwise, and the sums of a neuron must not depend on how many others there are.
_NEURONS_MULTIPLIED = 256
# Rows multiplied at a time, and summed in float32: the fewer, the smaller the rounding of a sum.
_ROWS_MULTIPLIED = 128
# Rows of a product added to the float64 sum at a time, so that they are still in the cache.
_ROWS_ADDED = 32
# Outer products that may wait to be added.
_MOST_STEPS = 64


class Sums:
    """Sums of products of centred columns over the chunks added so far.

    Means, the diagonal and sums over chunks are float64. Products within a chunk have the precision of the concepts;
    in float32 they take half the time, and are off by a few 1e-7 of √(Gᵢᵢ·Gⱼⱼ) at most, because

    - columns are multiplied less a typical value of theirs, so that nothing cancels later on (see ``_shift``), and
      the thousands of zeros of a rare concept add nothing to round;
    - a float32 sum is over ``_ROWS_MULTIPLIED`` rows, then over a chunk's few dozens of such sums, then float64.

    Only the upper triangle of the Gram matrix is computed, in strips of ``STRIP`` rows, each up to the last column:
    matrix products of torch run at full speed in that shape on CPU and GPU, while NumPy's symmetric product (SYRK)
    loses its advantage in mirroring the triangle after every chunk.

    Parameters
    ----------
    concepts, neurons
        A chunk, as an example: widths, number format and device of those to come.
    """

    def __init__(self, concepts: Float[Tensor, "rows concepts"], neurons: Float[Tensor, "rows neurons"]) -> None:
        self.n_images = 0
        self.concepts = Columns(concepts, concepts.dtype)
        self.neurons = Columns(neurons, concepts.dtype, _NEURONS_MULTIPLIED)
        n_concepts, n_neurons = concepts.shape[1], neurons.shape[1]
        self._gram = zeros((n_concepts, n_concepts), torch.float64, concepts.device)
        self._cross = zeros((n_neurons, n_concepts), torch.float64, concepts.device)
        self._rooms: list[Tensor] = []  # for products, one for each thread that has worked so far

    def add(self, concepts: Float[Tensor, "rows concepts"], neurons: Float[Tensor, "rows neurons"]) -> None:
        """Add a chunk of at most as many rows as the first."""
        left = self.concepts.add(concepts, self.n_images)
        right = self.neurons.add(neurons, self.n_images)
        self.n_images += len(concepts)
        with full_precision(concepts.device.type):
            self._multiply(left, right)
        if len(self.concepts.steps) >= _MOST_STEPS:
            self._add_steps()

    def covariances(self) -> tuple[Float[Tensor, "concepts concepts"], Float[Tensor, "concepts neurons"]]:
        """Return the sums divided by the number of images, the Gram matrix whole; nothing can be added any more."""
        self._add_steps()
        gram, cross = self._gram.div_(self.n_images), self._cross.div_(self.n_images)
        for start in range(0, len(gram), STRIP):
            end = start + STRIP
            square = gram[start:end, start:end]
            square.copy_(square.triu() + square.triu(1).T)
            gram[end:, start:end] = gram[start:end, end:].T
        gram.diagonal().copy_(self.concepts.squares / self.n_images)
        return gram, cross.T

    def _multiply(self, concepts: Tensor, neurons: Tensor) -> None:
        n_neurons, n_concepts = self._cross.shape
        tasks: list[Callable[[], None]] = []
        for start in range(0, n_neurons, _NEURONS_MULTIPLIED):
            strip = slice(start, start + _NEURONS_MULTIPLIED)
            tasks.append(partial(self._add_product, neurons[:, strip], concepts, self._cross[strip]))
        for start in range(0, n_concepts, STRIP):
            strip = slice(start, start + STRIP)
            tasks.append(partial(self._add_product, concepts[:, strip], concepts[:, start:], self._gram[strip, start:]))
        share(tasks, concepts.device)

    def _add_product(self, left: Tensor, right: Tensor, total: Tensor) -> None:
        """Add leftᵀ·right to a float64 sum in place; what ``left`` has more columns of are zeros."""
        room = self._rooms.pop() if self._rooms else zeros((STRIP * self._gram.shape[1],), left.dtype, left.device)
        product = room[: left.shape[1] * right.shape[1]].view(left.shape[1], right.shape[1])
        torch.mm(left[:_ROWS_MULTIPLIED].T, right[:_ROWS_MULTIPLIED], out=product)
        for start in range(_ROWS_MULTIPLIED, len(left), _ROWS_MULTIPLIED):
            rows = slice(start, start + _ROWS_MULTIPLIED)
            product.addmm_(left[rows].T, right[rows])
        for start in range(0, len(total), _ROWS_ADDED):
            rows = slice(start, start + _ROWS_ADDED)
            total[rows] += product[rows][: len(total) - start]
        self._rooms.append(room)

    def _add_steps(self) -> None:
        """Add what the means contribute, for many chunks at once: one such sum passes over the whole matrix."""
        left, right = torch.stack(self.concepts.steps), torch.stack(self.neurons.steps)
        signed = left.clone()
        signed[1::2] *= -1  # every second one is to be taken away
        tasks = [partial(_add_outer, right, signed, self._cross)]
        for start in range(0, len(self._gram), STRIP):
            strip = slice(start, start + STRIP)
            tasks.append(partial(_add_outer, signed[:, strip], left[:, start:], self._gram[strip, start:]))
        share(tasks, self._gram.device)
        self.concepts.steps.clear()
        self.neurons.steps.clear()


def _add_outer(left: Tensor, right: Tensor, total: Tensor) -> None:
    total.addmm_(left.T, right)


@contextmanager
def full_precision(device: str) -> Generator[None]:
    """Multiply float32 matrices as such, whatever the user allows for networks: no TF32, no bfloat16, no autocast."""
    kinds: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    settings = [(kind, kind.fp32_precision) for kind in kinds if hasattr(kind, "fp32_precision")]  # torch 2.9 or later
    legacy = None if settings else torch.get_float32_matmul_precision()
    try:
        for kind, _ in settings:
            kind.fp32_precision = "ieee"
        if legacy is not None:
            torch.set_float32_matmul_precision("highest")
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for kind, before in settings:
            kind.fp32_precision = before
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
