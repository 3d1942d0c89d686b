"""What an engine is, and the test every engine must pass on the first images before it runs the others."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from linexp.forward.engines.passes import Passes, Read
from linexp.forward.hooks import evaluating
from linexp.forward.rounding import is_close
from linexp.store import content_of

# Images on which an engine is tried. More than one, so that what mixes the images of a batch shows; few, because every
# convolution's output is in memory at once while a pass is watched.
N_TRIED = 4

LOG = logging.getLogger("linexp.engines")
"""Which engine runs (INFO) and why another does not (DEBUG); the command line prints both."""


@contextmanager
def exact_float32() -> Generator[None, None, None]:
    """Multiply float32 numbers as such: by default torch lets convolutions on newer cards drop digits (TF32)."""
    try:
        was = _tf32("allow_tf32", (False, False))
        name = "allow_tf32"
    except RuntimeError:  # the user said it in torch's newer words, beside which it refuses the older ones
        was = _tf32("fp32_precision", ("ieee", "ieee"))
        name = "fp32_precision"
    try:
        yield
    finally:
        _tf32(name, was)


def _tf32(name: str, values: tuple[Any, Any]) -> tuple[Any, Any]:
    """Set how convolutions and matrix products treat float32; return what was set."""
    backends: Any = torch.backends
    cudnn = backends.cudnn if name == "allow_tf32" else backends.cudnn.conv
    matmul = backends.cuda.matmul
    was = getattr(cudnn, name), getattr(matmul, name)
    setattr(cudnn, name, values[0])
    setattr(matmul, name, values[1])
    return was


class EngineError(ValueError):
    """An engine that was asked for by name cannot run this model."""


def as_it_is(batch: Tensor) -> Tensor:
    """Return the batch."""
    return batch


class Runner(NamedTuple):
    """What an open engine gives.

    Parameters
    ----------
    run
        From a batch to what is read from each layer, on the CPU.
    prepare
        Brings a batch into the form that is fastest for the module itself, which may be run meanwhile too.
    ahead
        The same as ``run`` for one batch after the other, where the next may be made while the last ones run.
        Default: ``run``, one at a time.
    """

    run: Callable[[Tensor], dict[str, Tensor]]
    prepare: Callable[[Tensor], Tensor] = as_it_is
    ahead: Callable[[Iterator[Tensor]], Iterator[dict[str, Tensor]]] | None = None

    def over(self, batches: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Yield what is read on each of some batches, in their order."""
        return map(self.run, batches) if self.ahead is None else self.ahead(batches)


Way = Callable[[], AbstractContextManager[Runner]]
"""Opens one way to run the passes; whatever it changes in the module it undoes at the end."""


Watch = Callable[[AbstractContextManager[Any]], None]


class Engine(ABC):
    """How forward passes are run. An engine is a frozen dataclass of its settings with ``ways``."""

    @property
    def key(self) -> str:
        """What stored results depend on: the engine's settings and, where it is the user's own, its code."""
        return content_of(self, "engine")

    @abstractmethod
    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield the ways in which passes may be run, the fastest first; none: the module as it is.

        Parameters
        ----------
        passes
            The module, its layers, what is read from them (``read``) and how the module itself is run (``run``).
        example
            The first few images.
        watch
            Runs the plain pass by which the ways are judged, inside a context of the engine's. An engine that learns
            nothing from a pass leaves it out.
        """

    @property
    def told(self) -> str:
        """What runs the passes, in a word and with its version where that counts."""
        return "torch"

    @property
    def in_torch(self) -> Engine:
        """The engine for work that runs the module itself, such as the part behind a layer."""
        return self

    def turn_down(self, reason: str) -> None:
        """Take note that a way is not used; an engine without another may raise ``EngineError``."""
        LOG.debug("%s is not used: %s", type(self).__name__, reason)

    @contextmanager
    def open(
        self, module: nn.Module, layers: Mapping[str, nn.Module], example: Tensor, read: Read
    ) -> Generator[Runner, None, None]:
        """Find the fastest way that gives, on an example, what the module gives but for rounding; keep it open.

        Parameters
        ----------
        module, layers, read
            As in ``Passes``; the module comes back as it was, and may be one of the layers.
        example
            The first few images (``N_TRIED``), on the module's device.
        """
        with evaluating(module), exact_float32():
            passes = Passes(module, layers, read)
            way = self._find(passes, example)
            del example  # held by this frame, it would be in memory all the time
            with way() if way else nullcontext(Runner(passes.run)) as runner:
                yield runner

    def _find(self, passes: Passes, example: Tensor) -> Way | None:
        wanted: dict[str, Tensor] = {}

        def watch(within: AbstractContextManager[Any]) -> None:
            wanted.update(passes.run(example, within))

        try:
            for way in self.ways(passes, example, watch):
                if not wanted:
                    watch(nullcontext())
                reason = _difference(way, example, wanted)
                if not reason:
                    return way
                self.turn_down(reason)
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - a model that does not let itself be watched is run as it is
            LOG.debug("the model is run as it is: %s", error)
        return None


def _difference(way: Way, example: Tensor, wanted: dict[str, Tensor]) -> str:
    """Say why a way does not stand for the module; "": it does."""
    try:
        with way() as runner:
            found = runner.run(example)
    except Exception as error:  # noqa: BLE001 - such as .view, which does not take every memory layout
        return first_line(error)
    for name, values in wanted.items():
        if name not in found or found[name].shape != values.shape:
            return f"it gives layer '{name}' another shape than torch does"
        if not is_close(found[name], values):
            off = float((found[name] - values).abs().max() / values.abs().max())
            return f"on the first images, layer '{name}' is off from torch by {off:.2g} of its largest activation"
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
