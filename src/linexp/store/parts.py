"""Rows that are to be computed, part by part, and what is done with what was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TypeAlias

import torch
from torch import Tensor


class Parts:
    """Ranges of rows that are to be computed; each is drawn from ``source`` when somebody first asks for it.

    Several may go through them side by side, such as what decodes images and what counts them. The store's ranges are
    shards, claimed when drawn. There are ``n_rows`` in all, fewer if others do some of them meanwhile.
    """

    def __init__(self, source: Iterable[range], n_rows: int) -> None:
        self.n_rows = n_rows
        self._source, self._drawn = iter(source), list[range]()

    def __iter__(self) -> Iterator[range]:
        for place in count():
            if place == len(self._drawn):
                part = next(self._source, None)
                if part is None:
                    return
                self._drawn.append(part)
            yield self._drawn[place]

    def batches(self, size: int) -> Iterator[range]:
        """Cut each part into batches; the last of a part may be smaller."""
        for part in self:
            yield from (part[start : start + size] for start in range(0, len(part), size))


Keep: TypeAlias = Callable[[Mapping[str, Tensor]], None]
Compute: TypeAlias = Callable[[Parts, Keep], None]


def whole(n_rows: int) -> Parts:
    """Return all rows as one part."""
    return Parts([range(n_rows)], n_rows)


def place(matrices: dict[str, Tensor], n_rows: int, start: int, pieces: Mapping[str, Tensor]) -> None:
    """Put pieces of matrices of ``n_rows`` rows where they belong, from ``start`` on."""
    for name, piece in pieces.items():
        if name not in matrices:
            matrices[name] = torch.empty(n_rows, *piece.shape[1:], dtype=piece.dtype)
        matrices[name][start : start + len(piece)] = piece


def gather(n_rows: int, compute: Compute) -> dict[str, Tensor]:
    """Return what ``compute`` makes of all rows, as ``Store.fill`` does, and store nothing."""
    matrices = dict[str, Tensor]()
    start = 0

    def keep(batch: Mapping[str, Tensor]) -> None:
        nonlocal start
        place(matrices, n_rows, start, batch)
        start += len(next(iter(batch.values())))

    compute(whole(n_rows), keep)
    return matrices


def after(keep: Keep, advance: Callable[[int], None]) -> Keep:
    """Return a ``keep`` that also tells how many rows are done."""

    def both(batch: Mapping[str, Tensor]) -> None:
        keep(batch)
        advance(len(next(iter(batch.values()))))

    return both
