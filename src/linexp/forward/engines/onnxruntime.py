"""ONNX Runtime: the network up to the last wanted layer, with the pooling, as one graph; on a CPU."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from linexp.forward.engines.base import LOG, Engine, EngineError, Runner, Watch, Way
from linexp.forward.engines.dataflow import ConvolutionTrace
from linexp.forward.engines.onnx_graph import NotExportedError, export, runtime
from linexp.forward.engines.passes import Passes

# Batches that wait while the first of them runs: with one, threads that are done wait for the last image of a batch.
_N_AHEAD = 2
# Below, that many times as fast as torch, it is said that torch may be faster. Not 1: the first images tell roughly.
_SLOW = 0.8


@dataclass(frozen=True)
class OnnxRuntime(Engine):
    """The model exported to ONNX Runtime, on a CPU: the same float32 arithmetic, several times as fast.

    The graph takes one image. Each is a run of its own on one thread, as many at a time as torch has threads, so that
    the same image gives the same bytes whatever the batch and the number of threads. Inputs of another shape than the
    first ones go through the module itself.

    Parameters
    ----------
    otherwise
        What runs a model that does not export, or gives something else then. Default: it is refused.
    """

    otherwise: Engine | None = None

    @property
    def key(self) -> str:
        """Also the version of ONNX Runtime, which chooses the order of sums."""
        return f"{super().key} onnxruntime {runtime().__version__}"

    @property
    def told(self) -> str:
        """Its name and version."""
        return f"onnxruntime {runtime().__version__}"

    @property
    def in_torch(self) -> Engine:
        """What runs in its place where the module itself is needed."""
        from linexp.forward.engines.fused import Fused

        return self.otherwise or Fused()

    def turn_down(self, reason: str) -> None:
        """Refuse the model, unless there is another engine."""
        if self.otherwise is None:
            raise EngineError(
                f"ONNX Runtime cannot run this model: {reason.rstrip('.')}. Leave the engine out, or choose 'torch' "
                "(--engine torch)."
            )
        LOG.debug("ONNX Runtime is not used: %s", reason)

    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield the exported graph, then what there is otherwise."""
        try:
            yield _Exported(passes, example, watch)
        except NotExportedError as error:
            self.turn_down(str(error))
        if self.otherwise is not None:
            yield from self.otherwise.ways(passes, example, watch)

    def _find(self, passes: Passes, example: Tensor) -> Way | None:
        way = super()._find(passes, example)
        if isinstance(way, _Exported):
            LOG.info("engine: %s, on the first images %s", self.told, _told_ratio(way, passes, example))
        else:
            LOG.info("engine: torch, for ONNX Runtime does not give what this model does (--verbose says why)")
        return way


def _told_ratio(way: Way, passes: Passes, example: Tensor) -> str:
    """Say how much faster a way is. It is not chosen by that: the same input would not always give the same bytes."""
    with way() as runner:
        fast = min(_seconds(runner.run, example) for _ in range(2))
    ratio = min(_seconds(passes.run, example) for _ in range(2)) / fast
    advice = "; --engine torch may be faster" if ratio < _SLOW else ""
    return f"{ratio:.1f} times as fast as torch{advice}"


def _seconds(run: Callable[[Tensor], Any], batch: Tensor) -> float:
    started = time.perf_counter()
    run(batch)
    return time.perf_counter() - started


@dataclass(eq=False)
class _Exported:
    """A way: opens the graph that was exported, as often as asked."""

    passes: Passes
    example: Tensor = field(repr=False)
    watch: Watch

    def __post_init__(self) -> None:
        if self.example.device.type != "cpu":
            raise NotExportedError(f"it is on the device '{self.example.device}', and ONNX Runtime here is for a CPU")
        trace = ConvolutionTrace(())
        self.watch(trace)
        if trace.depends_on_values:
            raise NotExportedError(
                "its Python code reads numbers out of tensors (an if, or .item()), so that other images may take "
                "another way through it than the graph"
            )
        self.shape, self.dtype = self.example.shape[1:], self.example.dtype
        self.session = export(self.passes, self.example[:1])
        del self.example  # it would be in memory all the time

    @contextmanager
    def __call__(self) -> Generator[Runner, None, None]:
        n_threads = torch.get_num_threads()
        threads = ThreadPoolExecutor(n_threads)
        torch.set_num_threads(1)  # torch's own would wait for each other beside these, and take their cores meanwhile
        try:
            yield Runner(partial(self._one, threads), ahead=partial(self._ahead, threads))
        finally:
            threads.shutdown(cancel_futures=True)
            torch.set_num_threads(n_threads)

    def _one(self, threads: ThreadPoolExecutor, batch: Tensor) -> dict[str, Tensor]:
        return self._gather(self._start(threads, batch))

    def _ahead(
        self, threads: ThreadPoolExecutor, batches: Iterator[Tensor]
    ) -> Generator[dict[str, Tensor], None, None]:
        """Decode in this thread what comes next while the others run the network, so that no core ever waits."""
        started, failure = deque[list[Future[list[Tensor]]]](), None
        while failure is None:
            try:
                batch = next(batches, None)
            except Exception as error:  # noqa: BLE001 - raised below, once what was started before is handed out
                failure, batch = error, None
            if batch is None:
                break
            started.append(self._start(threads, batch))
            if len(started) > _N_AHEAD:
                yield self._gather(started.popleft())
        while started:
            yield self._gather(started.popleft())
        if failure is not None:
            raise failure

    def _start(self, threads: ThreadPoolExecutor, batch: Tensor) -> list[Future[list[Tensor]]]:
        if batch.shape[1:] != self.shape or batch.dtype != self.dtype:
            other: Future[list[Tensor]] = Future()
            found = self.passes.run(batch)
            other.set_result([found[name] for name in self.passes.layers])
            return [other]
        images = batch.detach().contiguous().numpy()
        return [threads.submit(self._run, images[row : row + 1]) for row in range(len(images))]

    def _gather(self, started: list[Future[list[Tensor]]]) -> dict[str, Tensor]:
        parts = zip(*(one.result() for one in started), strict=True)
        return {name: torch.cat(part) for name, part in zip(self.passes.layers, parts, strict=True)}

    def _run(self, image: Any) -> list[Tensor]:
        return [torch.from_numpy(values) for values in self.session.run(None, {"image": image})]
