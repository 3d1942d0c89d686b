"""Forward passes through the model as it is, and what its layers' hooks deliver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn

from linexp.forward.hooks import PassComplete, watching

Read = Callable[[str, Any, int], Tensor]
"""Takes what is wanted out of a layer's output: (layer, output, images in the batch) → one tensor."""


class NoMemoryError(RuntimeError):
    """There is no memory for a batch; half of it may fit."""


class Passes:
    """Runs a module on one batch after the other and hands out what was read from its layers.

    Parameters
    ----------
    module
        The model, in eval mode without gradients.
    layers
        Those to read from.
    read
        Called within the pass as soon as a layer returns: a later in-place operation may change the output, and all
        feature maps together may not fit into memory.
    to_end
        Run each pass to its end, which shows how often a layer runs. Default: stop after the last wanted layer.
    """

    def __init__(self, module: nn.Module, layers: Mapping[str, nn.Module], read: Read, *, to_end: bool = False) -> None:
        self.module, self.layers, self.read, self._to_end = module, layers, read, to_end
        self._found: dict[str, Tensor] = {}
        self._n_calls: dict[str, int] = {}
        self._failure: ValueError | None = None
        self._n_images = 0

    def run(self, batch: Tensor, within: AbstractContextManager[Any] | None = None) -> dict[str, Tensor]:
        """Return what was read from each layer on a batch, on the CPU.

        Parameters
        ----------
        batch
            Inputs, on the module's device.
        within
            A context to open around the pass, inside that of the layers' hooks: what it hooks in comes after them.

        Raises
        ------
        ValueError
            A layer runs not once, or ``read`` refuses its output.
        RuntimeError
            An operation of torch fails; the message gives the shape of the batch.
        """
        self._found, self._n_calls, self._failure, self._n_images = {}, {}, None, len(batch)
        try:
            with watching(self.layers, self._receive), within or nullcontext(), suppress(PassComplete):
                self.module(batch)
        except RuntimeError as error:
            # Torch's own; whatever else a model raises stays as it is.
            if type(error) in (RuntimeError, torch.cuda.OutOfMemoryError):
                raise _explain_failure(error, batch) from error
            raise
        if self._failure is not None:
            raise self._failure
        for name in self.layers:
            _check_calls(name, self._n_calls.get(name, 0))
        found, self._found = self._found, {}
        return {name: values.cpu() for name, values in found.items()}

    def _receive(self, name: str, _: Any, output: Any) -> None:
        if not self._to_end and len(self._found) == len(self.layers):
            raise PassComplete  # once more: the model caught the first one
        self._n_calls[name] = self._n_calls.get(name, 0) + 1
        try:
            self._found[name] = self.read(name, output, self._n_images)
        except ValueError as error:
            self._failure = error  # raised in here, an "except Exception" of the model could swallow it
            raise PassComplete from error
        if not self._to_end and len(self._found) == len(self.layers):
            raise PassComplete


def _check_calls(name: str, n_calls: int) -> None:
    if n_calls == 0:
        raise ValueError(
            f"Layer '{name}' does not run in the model's forward pass. Choose another (linexp layers lists them)."
        )
    if n_calls > 1:
        raise ValueError(
            f"Layer '{name}' runs {n_calls} times in one forward pass, so its activations have no single meaning. "
            "Choose a layer that runs once, such as the block around it."
        )


def _explain_failure(error: RuntimeError, batch: Tensor) -> RuntimeError:
    reason = (str(error).splitlines() or [""])[0].rstrip(".")
    if "allocate memory" in reason or "out of memory" in reason:
        remedy = (
            "smaller batch_size (--batch-size)" if len(batch) > 1 else "machine with more memory, or smaller images"
        )
        return NoMemoryError(
            f"There is no memory for a batch of shape {list(batch.shape)} ({batch.dtype}): {reason}. Use a {remedy}."
        )
    return RuntimeError(
        f"The model fails on a batch of shape {list(batch.shape)} ({batch.dtype}): {reason}. "
        "Check that preprocess makes what the model expects."
    )
