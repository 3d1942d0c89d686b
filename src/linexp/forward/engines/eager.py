"""The model as it is, one operation after the other."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from linexp.forward.engines.base import Engine, Runner, Watch, Way, as_it_is
from linexp.forward.engines.passes import Passes


@dataclass(frozen=True)
class Eager(Engine):
    """The model as it is; on a CPU its batches have their channels last in memory where that changes only rounding."""

    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield the other memory layout, if there is one."""
        for channels_last in layouts(example):
            if channels_last:
                yield partial(in_layout, passes, channels_last=True)


def layouts(example: Tensor) -> tuple[bool, ...]:
    """Return whether batches may have their channels last in memory, the faster layout first.

    Their shape and values stay. On a CPU most convolutions are faster on them. On CUDA those of half precision are
    said to be; that was not measured here.
    """
    return (True, False) if example.device.type in ("cpu", "cuda") and example.ndim == 4 else (False,)


@contextmanager
def in_layout(passes: Passes, *, channels_last: bool) -> Generator[Runner, None, None]:
    """Run the module as it now is on batches in a memory layout."""
    prepare = _channels_last if channels_last else as_it_is

    def run(batch: Tensor) -> dict[str, Tensor]:
        return passes.run(prepare(batch))

    yield Runner(run, prepare)


def _channels_last(batch: Tensor) -> Tensor:
    return batch.contiguous(memory_format=torch.channels_last)
