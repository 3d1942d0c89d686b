"""Columns of zeros and ones as bits, 64 rows in a word, and how many rows two of them share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from linexp._internal.compiled import compiled, share_neurons

Words = NDArray[np.uint64]
Array = NDArray[np.int64]
# What adds up the bits of a word in pairs, fours and bytes; compilers know the pattern and make one instruction of it.
_PAIRS, _FOURS, _BYTES = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_ONES = np.uint64(0x0101010101010101)
_1, _2, _4, _56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)


def pack_columns(blocks: Iterable[Bool[Tensor, "rows columns"]]) -> Words:
    """Return the columns as words [columns, words]: row i is bit i % 64 of word i // 64, what is behind the last is 0.

    Parameters
    ----------
    blocks
        Rows from the first to the last, in blocks of any size.
    """
    pieces: list[NDArray[np.uint8]] = []
    rest: NDArray[np.bool_] | None = None
    for block in blocks:
        rows = block.numpy()
        rows = rows if rest is None else np.concatenate([rest, rows])
        whole = len(rows) // 64 * 64  # a word never holds rows of two pieces
        pieces.append(_pack(rows[:whole]))
        rest = rows[whole:]
    if rest is not None:
        pieces.append(_pack(rest))
    return np.concatenate(pieces, axis=1).view(np.uint64)


def _pack(rows: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return bytes [columns, bytes], as many as are words."""
    packed = np.zeros((rows.shape[1], -(-len(rows) // 64) * 8), np.uint8)
    packed[:, : -(-len(rows) // 8)] = np.packbits(rows, axis=0, bitorder="little").T
    return packed


def unpack_columns(words: Words, n_rows: int) -> Bool[Tensor, "rows columns"]:
    """Return what ``pack_columns`` packed."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, count=n_rows, bitorder="little")
    return torch.from_numpy(bits.T.astype(bool))


def all_rows(n_rows: int) -> Words:
    """Return the words of a column that is 1 in every row."""
    return pack_columns([torch.ones(n_rows, 1, dtype=torch.bool)])[0]


def joint_counts(first: Words, second: Words) -> Int[Tensor, "first second"]:
    """Count the rows in which both of two columns are 1, for each of the first with each of the second."""
    counts = np.zeros((len(first), len(second)), np.int64)
    share_neurons(len(first), _count_joint, first, second, counts)
    return torch.from_numpy(counts)


@compiled
def _count_joint(start: int, end: int, first: Words, second: Words, counts: Array) -> None:
    for row in range(start, end):
        for column in range(len(second)):
            counts[row, column] = count_both(first[row], second[column])


@compiled
def count_both(first: Words, second: Words) -> int:
    """Count the bits that are 1 in both."""
    total = np.uint64(0)
    for place in range(len(first)):
        word = first[place] & second[place]
        word = word - ((word >> _1) & _PAIRS)
        word = (word & _FOURS) + ((word >> _2) & _FOURS)
        word = (word + (word >> _4)) & _BYTES
        total += (word * _ONES) >> _56
    return np.int64(total)  # pyright: ignore[reportReturnType] - compiled, unsigned beside signed numbers are floats
