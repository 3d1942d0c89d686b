"""The loop over batches, which all work of a network shares; and one recording, with what is checked in each batch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, cast

import torch
from torch import Tensor, nn

from linexp._internal.progress import progress_bar
from linexp.forward.batches import Source, move
from linexp.forward.engines import N_TRIED, Engine, Passes
from linexp.forward.halving import Halving
from linexp.forward.hooks import evaluating
from linexp.forward.malloc import reusing_large_buffers
from linexp.forward.outputs import choose_tensor, remark_on, warn_of
from linexp.forward.units import Unit
from linexp.matrix import check_finite_activations
from linexp.store import Compute, Keep, Key, Parts, Store, after, gather, whole


def over_rows(
    module: nn.Module,
    source: Source,
    names: Sequence[str],
    compute: Compute,
    key: Callable[[], Key],
    *,
    store: Store | None,
    doing: str,
    what: str,
    unit: str = "images",
    show_progress: bool = True,
) -> dict[str, Tensor]:
    """Return the matrices that a network makes of all rows of a source, or read from a store what is there of them.

    Parameters
    ----------
    module
        In eval mode without gradients while it works.
    source
        The inputs.
    names, compute, what, unit
        As in ``Store.fill``.
    key
        Makes the store's key; called if there is a store, for it reads weights and inputs.
    store
        Where the rows are kept, shard by shard; ``None``: nowhere.
    doing
        What the bar says.
    show_progress
        Whether there is one.
    """

    def watched(parts: Parts, keep: Keep) -> None:
        with (
            reusing_large_buffers(),
            evaluating(module),
            progress_bar(doing, parts.n_rows, unit, show=show_progress) as advance,
        ):
            compute(parts, after(keep, advance))

    if store is None:
        return gather(source.n_images, watched)
    return store.fill(key(), names, watched, what=what, unit=unit)


class Recording:
    """One recording: what is read from each layer's output, batch by batch."""

    def __init__(self, layers: Mapping[str, nn.Module], units: Unit, source: Source) -> None:
        self.layers, self.units, self.source = layers, units, source
        self.row = 0
        self._n_neurons: dict[str, int] = {}
        self._remarks: dict[str, str | None] = {}
        self.taken: dict[str, str | None] = {}
        """Which of several tensors of a layer's output is taken; ``None``: there is only one."""
        self.grids: dict[str, tuple[int, int] | None] = {}
        """The cells of an image of which each gives a row; ``None``: an image is one row."""

    def over_batches(
        self,
        engine: Engine,
        model: nn.Module,
        device: torch.device,
        parts: Parts,
        keep: Keep,
    ) -> None:
        """Run the model over the batches of some rows, handing what the layers did to ``keep`` after each.

        Before that the model sees the first batch of all images once, to the end, which shows how often each layer
        runs; and the engine sees the first few images, to find out how it can run faster without changing what is
        recorded. So work that is taken up again is done in the way in which it was begun.
        """
        with closing(self._batches(parts)) as batches:
            first = next(batches)
            self._look(model, first.to(device))
            with engine.open(model, self.layers, first[:N_TRIED].to(device), self._read) as runner:
                del first
                smaller = Halving(runner.run, device)
                runner = runner._replace(run=smaller.run)
                moved = (move(batch, device) for batch in batches)
                for rows, pooled in zip(parts.batches(self.source.batch_size), runner.over(moved), strict=True):
                    self.row = rows.start
                    keep(self._checked(pooled))

    def look(self, model: nn.Module, device: torch.device) -> None:
        """Run the model on the first batch alone: says what is wrong with a layer, and fills ``taken``."""
        with closing(cast("Generator[Tensor, None, None]", self.source.batches(whole(1)))) as batches:
            self._look(model, next(batches).to(device))

    def _look(self, model: nn.Module, batch: Tensor) -> None:
        passes = Passes(model, self.layers, self._read_first, to_end=True)
        pooled = Halving(passes.run, batch.device).run(batch)
        warn_of(self._remarks.values())
        self._n_neurons = {name: values.shape[1] for name, values in pooled.items()}

    def _batches(self, parts: Parts) -> Generator[Tensor, None, None]:
        """Yield the first batch of all images, then those of the rows asked for."""
        with closing(cast("Generator[Tensor, None, None]", self.source.batches(parts))) as batches:
            if next(iter(parts)).start == 0:
                first = next(batches)
                yield first
                yield first
                del first  # only the current batch stays in memory
            else:
                start = whole(self.source.batch_size)
                with closing(cast("Generator[Tensor, None, None]", self.source.batches(start))) as others:
                    yield next(others)
            yield from batches

    def _read_first(self, name: str, output: Any, n_images: int) -> Tensor:
        self.taken[name] = choose_tensor(output, self.units.output, name)[0]
        self._remarks[name] = remark_on(output, self.units.output, name)
        values = self._read(name, output, n_images)
        self.grids[name] = self.units.grid(self._tensor(name, output), name, n_images)
        return values

    def _read(self, name: str, output: Any, n_images: int) -> Tensor:
        return self.units.read(self._tensor(name, output), name, n_images)

    def _tensor(self, name: str, output: Any) -> Any:
        tensor = choose_tensor(output, self.units.output, name)[1]
        return output if tensor is None else tensor

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
