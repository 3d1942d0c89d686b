"""What a search for formulas makes larger: IoU with a set of rows, or the AUROC of ranked rows.

Both come from two numbers of a formula, how many rows it holds in, and the sum over these rows of a weight that is a
whole number: 1 in the rows of the set, or the row's doubled mid-rank. The weights of a neuron are kept as planes of
bits, so that such a sum is a few counts of bits, exact whatever the order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from linexp._internal.compiled import compiled
from linexp.solve.bits import Words

IOU, AUROC = 0, 1


@compiled
def score_formula(kind: int, count: int, weight: int, n_rows: int, n_active: int) -> float:
    """Return the score of a formula that holds in ``count`` rows with a sum of weights ``weight``.

    ``n_active`` is the number of rows of the set for IoU, and not looked at for AUROC. A formula that holds nowhere, or
    for AUROC everywhere, has the score -1.
    """
    if kind == IOU:
        union = n_active + count - weight
        return weight / union if weight > 0 else -1.0
    others = n_rows - count
    if count == 0 or others == 0:
        return -1.0
    # Mid-ranks have the mean (n + 1) / 2, and AUROC is how far above it those of the rows lie. One division of whole
    # numbers, so that areas that are equal are so to the last bit, whichever formulas they are of.
    return (count * others + weight - count * (n_rows + 1)) / (2 * count * others)


@compiled
def planes_of(weights: NDArray[np.int64], planes: Words) -> None:
    """Write weights of rows as planes [planes, words]: the rows in whose weight a power of two occurs."""
    planes[:] = np.uint64(0)
    for row in range(len(weights)):
        word, bit = row // 64, np.uint64(row % 64)
        for plane in range(len(planes)):
            planes[plane, word] |= np.uint64((weights[row] >> plane) & 1) << bit
