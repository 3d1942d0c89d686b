"""torch.compile: the operations up to the last wanted layer, with the pooling, compiled for batches of one size."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from linexp.forward.engines.base import LOG, Engine, EngineError, Runner, Watch, Way, first_line
from linexp.forward.engines.dataflow import ConvolutionTrace
from linexp.forward.engines.passes import Passes

# Every batch is cut, and filled up, to one size: code is made once, which takes a minute, and any batch can be run.
_SIZE_CPU, _SIZE_ELSEWHERE = 8, 64


@dataclass(frozen=True)
class Compiled(Engine):
    """The model compiled by torch, whose hooks and Python code run once, while its operations are noted.

    Making the code takes a minute or more, and on a CPU a C++ compiler; it pays for long work on a GPU. A model that
    does not compile, or gives something else then, is refused.

    Parameters
    ----------
    backend
        Which of torch's compilers; ``torch.compiler.list_backends()`` has them.
    """

    backend: str = "inductor"

    @property
    def told(self) -> str:
        """Its name and torch's version."""
        return f"compile (torch {torch.__version__})"

    @property
    def in_torch(self) -> Engine:
        """What runs in its place where the module itself is needed."""
        from linexp.forward.engines.fused import Fused

        return Fused()

    def turn_down(self, reason: str) -> None:
        """Refuse the model."""
        raise EngineError(
            f"torch.compile cannot run this model: {reason.rstrip('.')}. Choose 'torch' (--engine torch)."
        )

    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield the compiled operations."""
        trace = ConvolutionTrace(())
        watch(trace)
        if trace.depends_on_values:
            self.turn_down(
                "its Python code reads numbers out of tensors (an if, or .item()), so that other images may take "
                "another way through it"
            )
        size = _SIZE_CPU if example.device.type == "cpu" else _SIZE_ELSEWHERE
        try:
            run = self._compile(passes, _filled(example, size))
        except Exception as error:  # noqa: BLE001 - a compiler fails in many ways
            self.turn_down(first_line(error))
            return
        LOG.info("engine: %s", self.told)
        yield partial(_opened, passes, run, example.shape[1:], example.dtype, size)

    def _compile(self, passes: Passes, batch: Tensor) -> Callable[[Tensor], list[Tensor]]:
        from torch.fx.experimental.proxy_tensor import make_fx  # takes seconds to import

        def read(batch: Tensor) -> list[Tensor]:
            found = passes.run(batch)
            return [found[name] for name in passes.layers]

        compiled: Any = torch.compile(make_fx(read)(batch), backend=self.backend, fullgraph=True, dynamic=False)
        compiled(batch)
        return compiled


@contextmanager
def _opened(
    passes: Passes, compiled: Callable[[Tensor], list[Tensor]], shape: torch.Size, dtype: torch.dtype, size: int
) -> Generator[Runner, None, None]:
    def run(batch: Tensor) -> dict[str, Tensor]:
        if batch.shape[1:] != shape or batch.dtype != dtype:
            return passes.run(batch)
        parts = [compiled(_filled(part, size)) for part in batch.split(size)]
        whole = [torch.cat(part)[: len(batch)].cpu() for part in zip(*parts, strict=True)]
        return dict(zip(passes.layers, whole, strict=True))

    yield Runner(run)


def _filled(batch: Tensor, size: int) -> Tensor:
    """Return a batch of the one size; its last image stands in for those that are missing."""
    return batch if len(batch) == size else torch.cat([batch, batch[-1:].expand(size - len(batch), *batch.shape[1:])])
