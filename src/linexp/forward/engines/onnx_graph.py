"""From a module to a graph of ONNX, and a session of ONNX Runtime with it; both packages are imported here alone."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linexp.forward.engines.base import first_line
from linexp.forward.engines.passes import Passes
from linexp.models import needs


class NotExportedError(Exception):
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


def export(passes: Passes, image: Tensor) -> Any:
    """Return a session of ONNX Runtime with the graph; the file it comes from is gone.

    A graph beyond 2 GB has its weights in files beside it, which is why there is a folder.
    """
    onnxruntime, graph = runtime(), _Graph(passes)
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
            raise NotExportedError(_why_not(error, graph, image)) from error


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
        inner._jit_onnx_log = _say_nothing
        try:
            yield
        finally:
            inner._jit_onnx_log = log


def _say_nothing(*_: object) -> None:
    pass


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
        runtime()
    except ImportError:
        return False
    return True


def runtime() -> Any:
    """Import ONNX Runtime, and what the export needs; what is missing is said."""
    with needs("onnxruntime", "fast", "the engine onnxruntime"):
        import onnxruntime
    with needs("onnx", "fast", "the engine onnxruntime"):
        import onnx  # noqa: F401  # pyright: ignore[reportUnusedImport] - torch's exporter does
    return onnxruntime
