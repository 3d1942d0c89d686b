"""One recording: the loop over batches, and what the layers' hooks deliver."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, cast

import torch
from torch import Tensor, nn

from linexp.forward.batches import Source
from linexp.forward.engines.fused import NO_SHORTCUT, PairFinder, Shortcut, folded, is_close, shortcuts
from linexp.forward.hooks import PassComplete, watching
from linexp.forward.outputs import choose_tensor, remark_on, warn_of
from linexp.forward.units import Unit
from linexp.matrix import check_finite_activations

# Images on which a shortcut is tried. (A few: every convolution's output is in memory at once then.)
_N_TRIED = 4


class Run:
    """One recording: receives the layers' outputs and hands them on, batch by batch."""

    def __init__(self, layers: Mapping[str, nn.Module], units: Unit, source: Source) -> None:
        self.layers, self.units, self.source = layers, units, source
        self.row = 0
        self._n_neurons: dict[str, int] = {}
        self._pooled: dict[str, Tensor] = {}
        self._n_calls: dict[str, int] = {}
        self._failure: ValueError | None = None
        self._batch_length = 0
        self._may_stop = False
        self._remarks: dict[str, str | None] = {}
        self.taken: dict[str, str | None] = {}
        """Which of several tensors of a layer's output is taken; ``None``: there is only one."""

    def over_batches(
        self,
        model: nn.Module,
        device: torch.device,
        rows: Sequence[range],
        keep: Callable[[dict[str, Tensor]], None],
        *,
        fold: bool,
    ) -> None:
        """Run the model over the batches of some rows, handing what the layers did to ``keep`` after each.

        Before that the model sees the first batch of all images once, to the end, which shows how often each layer
        runs; and the first few images two to four times, to find out how it can be run faster without changing what
        it does. So work that is taken up again is done in the way in which it was begun.
        """
        finder = PairFinder(model, self.layers) if fold else None
        with closing(self._batches(rows)) as batches:
            first = next(batches)
            with watching(self.layers, self._receive):
                pooled = self._forward(model, first.to(device))
                warn_of(self._remarks.values())
                self._n_neurons = {name: values.shape[1] for name, values in pooled.items()}
                self._may_stop = True
                shortcut = self._find_shortcut(model, finder, first[:_N_TRIED].to(device))
                del finder, first, pooled  # and the feature maps it looked at
            with folded(shortcut.pairs), watching(self.layers, self._receive):
                for start, batch in zip(_starts(rows, self.source.batch_size), batches, strict=True):
                    self.row = start
                    keep(self._checked(self._forward(model, shortcut.prepare(batch.to(device, non_blocking=True)))))

    def look(self, model: nn.Module, device: torch.device) -> None:
        """Run the model on the first batch alone: says what is wrong with a layer, and fills ``taken``."""
        batches = cast("Generator[Tensor, None, None]", self.source.batches([range(1)]))
        with closing(batches), watching(self.layers, self._receive):
            self._forward(model, next(batches).to(device))
        warn_of(self._remarks.values())

    def _batches(self, rows: Sequence[range]) -> Generator[Tensor, None, None]:
        """Yield the first batch of all images, then those of the rows asked for."""
        size = self.source.batch_size
        with closing(cast("Generator[Tensor, None, None]", self.source.batches(rows))) as batches:
            if rows[0].start == 0:
                first = next(batches)
                yield first
                yield first
                del first  # only the current batch stays in memory
            else:
                with closing(cast("Generator[Tensor, None, None]", self.source.batches([range(size)]))) as others:
                    yield next(others)
            yield from batches

    def _find_shortcut(self, model: nn.Module, finder: PairFinder | None, batch: Tensor) -> Shortcut:
        """Return the fastest way to run the model that changes nothing but rounding."""
        try:
            if finder is None:
                plain, pairs = self._forward(model, batch), []
            else:
                with finder.watch():
                    plain = self._forward(model, batch)
                pairs = finder.pairs()
        except Exception:  # noqa: BLE001 - a model that does not let itself be watched is run as it is
            return NO_SHORTCUT
        for shortcut in shortcuts(pairs, batch):
            try:
                with folded(shortcut.pairs):
                    quick = self._forward(model, shortcut.prepare(batch))
            except Exception:  # noqa: BLE001 - such as .view, which does not take every memory layout
                continue
            if all(is_close(quick[name], plain[name]) for name in self.layers):
                return shortcut
        return NO_SHORTCUT

    def _receive(self, name: str, _: Any, output: Any) -> None:
        if self._may_stop and len(self._pooled) == len(self.layers):
            raise PassComplete  # once more: the model caught the first one
        self._n_calls[name] = self._n_calls.get(name, 0) + 1
        try:
            part, tensor = choose_tensor(output, self.units.output, name)
            if not self._may_stop:
                self.taken[name], self._remarks[name] = part, remark_on(output, self.units.output, name)
            self._pooled[name] = self.units.read(output if tensor is None else tensor, name, self._batch_length)
        except ValueError as error:
            self._failure = error  # raised in here, an "except Exception" of the model could swallow it
            raise PassComplete from error
        if self._may_stop and len(self._pooled) == len(self.layers):
            raise PassComplete

    def _forward(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        self._pooled, self._n_calls, self._failure, self._batch_length = {}, {}, None, len(batch)
        try:
            with suppress(PassComplete):
                model(batch)
        except RuntimeError as error:
            if type(error) is RuntimeError:  # torch's own; whatever else a model raises stays as it is
                raise _explain_failure(error, batch) from error
            raise
        if self._failure is not None:
            raise self._failure
        for name in self.layers:
            _check_calls(name, self._n_calls.get(name, 0))
        return {name: values.cpu() for name, values in self._pooled.items()}

    def _checked(self, pooled: dict[str, Tensor]) -> dict[str, Tensor]:
        for name, values in pooled.items():
            if values.shape[1] != self._n_neurons[name]:
                raise ValueError(
                    f"Layer '{name}' gave {self._n_neurons[name]} neurons on the first images and "
                    f"{values.shape[1]} on {self.source.name(self.row)}. Bring all images to one size, or choose a "
                    "layer that gives the same neurons for all."
                )
            check_finite_activations(values, range(values.shape[1]), name, self._name_in_batch)
        return pooled

    def _name_in_batch(self, row: int) -> str:
        return self.source.name(self.row + row)


def _starts(rows: Sequence[range], size: int) -> Iterator[int]:
    for part in rows:
        yield from range(part.start, part.stop, size)


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
        return RuntimeError(
            f"There is no memory for a batch of shape {list(batch.shape)} ({batch.dtype}): {reason}. "
            "Use a smaller batch_size (--batch-size)."
        )
    return RuntimeError(
        f"The model fails on a batch of shape {list(batch.shape)} ({batch.dtype}): {reason}. "
        "Check that preprocess makes what the model expects."
    )
