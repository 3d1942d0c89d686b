"""ONNX Runtime: the network up to the last wanted layer, with the pooling, as one graph; on a CPU."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linexp.forward.engines.base import LOG, Engine, EngineError, Runner, Watch, Way, first_line
from linexp.forward.engines.dataflow import ConvolutionTrace
from linexp.forward.engines.passes import Passes
from linexp.models import needs

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
        return f"{super().key} onnxruntime {_runtime().__version__}"

    @property
    def told(self) -> str:
        """Its name and version."""
        return f"onnxruntime {_runtime().__version__}"

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
        except _NotExportedError as error:
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


class _NotExportedError(Exception):
    """Why there is no graph of a model."""


class _Graph(nn.Module):
    """From one image to what is read of the layers: what is exported.

    Its pass ends where ``Passes`` ends it, behind the last wanted layer, and so does the graph.
    """

    def __init__(self, passes: Passes) -> None:
        super().__init__()
        self.module, self.passes = passes.module, passes
        self.training = False  # not .eval(), which some models override

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.passes.run(image)
        return tuple(found[name] for name in self.passes.layers)


@dataclass(eq=False)
class _Exported:
    """A way: opens the graph that was exported, as often as asked."""

    passes: Passes
    example: Tensor = field(repr=False)
    watch: Watch

    def __post_init__(self) -> None:
        if self.example.device.type != "cpu":
            raise _NotExportedError(f"it is on the device '{self.example.device}', and ONNX Runtime here is for a CPU")
        trace = ConvolutionTrace(())
        self.watch(trace)
        if trace.depends_on_values:
            raise _NotExportedError(
                "its Python code reads numbers out of tensors (an if, or .item()), so that other images may take "
                "another way through it than the graph"
            )
        self.shape, self.dtype = self.example.shape[1:], self.example.dtype
        self.session = _export(self.passes, self.example[:1])
        del self.example  # it would be in memory all the time

    @contextmanager
    def __call__(self) -> Generator[Runner, None, None]:
        n_threads = torch.get_num_threads()
        threads = ThreadPoolExecutor(n_threads)
        torch.set_num_threads(1)  # torch's own would wait for each other beside these, and take their cores meanwhile
        try:
            yield Runner(lambda batch: self._gather(self._start(threads, batch)), ahead=partial(self._ahead, threads))
        finally:
            threads.shutdown(cancel_futures=True)
            torch.set_num_threads(n_threads)

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


def _export(passes: Passes, image: Tensor) -> Any:
    """Return a session of ONNX Runtime with the graph; the file it comes from is gone.

    A graph beyond 2 GB has its weights in files beside it, which is why there is a folder.
    """
    onnxruntime, graph = _runtime(), _Graph(passes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = str(Path(folder) / "graph.onnx")
        try:
            with _quiet(), _without_fused_attention():
                # dynamo=True takes longer, needs one more package and would export a training mode as it finds it.
                torch.onnx.export(
                    graph,
                    (image,),
                    file,
                    dynamo=False,
                    training=torch.onnx.TrainingMode.PRESERVE,
                    input_names=["image"],
                    output_names=[f"read_{place}" for place in range(len(passes.layers))],
                )
            return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _NotExportedError(_why_not(error, graph, image)) from error


def _why_not(error: Exception, graph: _Graph, image: Tensor) -> str:
    """Say what does not export: the operator and the layer where it stands, if torch knows."""
    reason = first_line(error)
    if "operator '" not in reason:
        return reason
    operator = reason.split("operator '")[1].split("'")[0]
    with _quiet(), _without_fused_attention():
        traced: Any = torch.jit.trace(graph, image, check_trace=False)
    scopes = [node.scopeName() for node in traced.inlined_graph.nodes() if node.kind() == operator]
    where = scopes[0].rpartition("/")[2].removeprefix("__module.module").removeprefix(".") if scopes else ""
    return f"layer '{where}' uses the operator {operator}, which ONNX does not have" if where else reason


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep back what the exporter says to whoever chose it: that it traces, that it is the older one, and its graph.

    The graph, hundreds of lines, it prints on standard output when it fails, whatever it is asked (torch 2.13).
    """
    inner: Any = torch._C  # pyright: ignore[reportPrivateUsage] - no public switch turns it off
    log = getattr(inner, "_jit_onnx_log", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner._jit_onnx_log = lambda *_: None
        try:
            yield
        finally:
            inner._jit_onnx_log = log


@contextmanager
def _without_fused_attention() -> Generator[None, None, None]:
    """Let torch's attention run as the operations it is made of; there is no ONNX operator of its fused one."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def is_installed() -> bool:
    """Whether ONNX Runtime and what the export needs can be imported."""
    try:
        _runtime()
    except ImportError:
        return False
    return True


def _runtime() -> Any:
    with needs("onnxruntime", "fast", "the engine onnxruntime"):
        import onnxruntime
    with needs("onnx", "fast", "the engine onnxruntime"):
        import onnx  # noqa: F401  # pyright: ignore[reportUnusedImport] - torch's exporter does
    return onnxruntime
