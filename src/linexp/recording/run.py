"""One recording: the loop over batches, and what the layers' hooks deliver."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext, suppress
from typing import Any, cast

import torch
from torch import Tensor, nn

from linexp.matrix import ActivationMatrix, check_finite_activations
from linexp.recording.fold import PairFinder, folded
from linexp.recording.hooks import PassComplete, watching
from linexp.recording.pooling import Pooling, first_tensor
from linexp.recording.source import Source

# Folding must reproduce the plain model, on the first few images, to this share of a layer's largest activation, or
# it is not used. (A few: every convolution's output is in memory at once then.)
_FOLD_TOLERANCE = 1e-4
_FOLD_IMAGES = 4


class Run:
    """One recording: receives the layers' outputs and fills the result row by row."""

    def __init__(self, layers: Mapping[str, nn.Module], pooling: Pooling, source: Source) -> None:
        self.layers, self.pooling, self.source = layers, pooling, source
        self.values: dict[str, Tensor] = {}
        self.row = 0
        self._pooled: dict[str, Tensor] = {}
        self._outputs: dict[str, Any] = {}
        self._n_calls: dict[str, int] = {}
        self._batch_length = 0
        self._may_stop = False

    def over_batches(self, model: nn.Module, device: torch.device, fold: bool, advance: Callable[[int], None]) -> None:
        """Run the model over all batches of the source, telling ``advance`` the number of images of each."""
        batches = cast("Generator[Tensor, None, None]", self.source.batches)
        try:
            first = next(batches)
            layout = self._find_layout(model, first, device)
            folding = self._try_folding(model, _move(first[:_FOLD_IMAGES], device, layout)) if fold else nullcontext()
            with folding, watching(self.layers, self._receive):
                for batch in _chain(first, batches):
                    self._store(self._forward(model, _move(batch, device, layout)))
                    advance(len(batch))
        finally:
            if hasattr(batches, "close"):
                batches.close()

    def _find_layout(self, model: nn.Module, batch: Tensor, device: torch.device) -> torch.memory_format:
        """Check the layers on the first batch and find the fastest memory layout that the model takes."""
        with watching(self.layers, self._receive):
            layout = torch.channels_last if device.type == "cpu" and batch.ndim == 4 else torch.contiguous_format
            try:
                self._forward(model, _move(batch, device, layout))
            except RuntimeError as error:
                # A model that calls .view on feature maps only takes the plain layout.
                if layout == torch.contiguous_format or "view" not in str(error):
                    raise _explain_failure(error, batch) from error
                layout = torch.contiguous_format
                try:
                    self._forward(model, _move(batch, device, layout))
                except RuntimeError as second:
                    raise _explain_failure(second, batch) from second
        for name in self.layers:
            _check_calls(name, self._n_calls.get(name, 0))
        self._may_stop = True
        return layout

    def _try_folding(self, model: nn.Module, batch: Tensor) -> Any:
        """Return a context that folds batch normalisations, if that changes nothing but rounding."""
        finder = PairFinder(model)
        with finder.watch(), watching(self.layers, self._receive):
            plain = self._forward(model, batch)
            pairs = finder.pairs([first_tensor(output) for output in self._outputs.values()])
        with folded(pairs), watching(self.layers, self._receive):
            try:
                quick = self._forward(model, batch)
            except RuntimeError:
                return nullcontext()
        same = all(_is_close(quick[name], plain[name]) for name in self.layers)
        return folded(pairs) if same else nullcontext()

    def _receive(self, name: str, _: Any, output: Any) -> None:
        self._n_calls[name] = self._n_calls.get(name, 0) + 1
        self._outputs[name] = output
        self._pooled[name] = self.pooling.reduce(output, name, self._batch_length)
        if self._may_stop and len(self._pooled) == len(self.layers):
            raise PassComplete

    def _forward(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        self._pooled, self._outputs, self._n_calls, self._batch_length = {}, {}, {}, len(batch)
        with suppress(PassComplete):
            model(batch)
        return {name: values.cpu() for name, values in self._pooled.items()}

    def _store(self, pooled: Mapping[str, Tensor]) -> None:
        stop = self.row + self._batch_length
        for name, values in pooled.items():
            if name not in self.values:
                self.values[name] = torch.empty(self.source.n_images, values.shape[1])
            if values.shape[1] != self.values[name].shape[1]:
                raise ValueError(
                    f"Layer '{name}' gave {self.values[name].shape[1]} neurons on the first images and "
                    f"{values.shape[1]} on {self.source.name(self.row)}. Bring all images to one size."
                )
            check_finite_activations(values, range(values.shape[1]), name, self._name_in_batch)
            self.values[name][self.row : stop] = values
        self._outputs = {}
        self.row = stop

    def _name_in_batch(self, row: int) -> str:
        return self.source.name(self.row + row)

    def matrices(self) -> dict[str, ActivationMatrix]:
        """Return what was recorded."""
        images = self.source.fingerprint
        return {name: ActivationMatrix(self.values[name], layer=name, images=images) for name in self.layers}


def _chain(first: Tensor, rest: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from rest


def _move(batch: Tensor, device: torch.device, layout: torch.memory_format) -> Tensor:
    batch = batch.to(device, non_blocking=True)
    return batch.contiguous(memory_format=layout) if batch.ndim == 4 else batch


def _is_close(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() <= _FOLD_TOLERANCE * second.abs().max())


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
    return RuntimeError(
        f"The model fails on a batch of shape {list(batch.shape)}: {str(error).splitlines()[0]} "
        "Check that preprocess makes what the model expects."
    )
