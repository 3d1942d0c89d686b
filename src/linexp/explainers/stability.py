"""How stable a choice of terms is: the share of redraws of the images in which the whole procedure makes it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from linexp._internal.compiled import Indices
from linexp.explainers.parts import drawn_by_image
from linexp.explanations import Explanation
from linexp.matrix import Regions

# The same images give the same redraws, on every machine.
_SEED = 0
# Images a redraw fits on, as a share of the number of training images. With it as many terms are chosen again as with
# another seed of the split, which draws from the test images too; measured by benchmarks/stability.py.
FIT_SHARE = 0.75


def count_again(
    items: Iterable[Explanation],
    names: Sequence[str],
    choose: Callable[[Tensor, Tensor], Indices | None],
    train: Tensor,
    val: Tensor,
    n_repeats: int,
    regions: Regions | None = None,
) -> tuple[Explanation, ...]:
    """Return explanations whose terms say in which share of redraws they are chosen again.

    ``choose`` returns the numbers of the concepts, as ``names`` has them, of each explanation's neuron
    [neurons, terms], padded with -1; ``None``: no neuron has any. Of ``regions``, those of an image stay together.
    """
    items = tuple(items)
    number = {name: place for place, name in enumerate(names)}
    terms = np.full((len(items), max((len(item.terms) for item in items), default=0)), -2)  # no -1 is like it
    for row, item in zip(terms, items, strict=True):
        row[: len(item.terms)] = [number[str(term.concept)] for term in item.terms]
    again = np.zeros(terms.shape)
    for repeat in range(n_repeats):
        chosen = choose(*drawn_by_image(redraw, regions)(train, val, repeat))
        if chosen is not None:
            again += (terms[:, :, None] == chosen[:, None, :]).any(2)
    kept = (again / max(n_repeats, 1)).tolist()
    return tuple(
        replace(item, terms=tuple(replace(term, kept=share) for term, share in zip(item.terms, shares, strict=False)))
        for item, shares in zip(items, kept, strict=True)
    )


def redraw(train: Tensor, val: Tensor, repeat: int) -> tuple[Tensor, Tensor]:
    """Draw images to fit on and images to choose by from those of both, as many to choose by as there were."""
    rng = np.random.default_rng((_SEED, repeat))
    order = torch.from_numpy(rng.permutation(len(train) + len(val)))
    n_fit = max(round(FIT_SHARE * len(train)), 2)
    both = torch.cat([train, val])
    chosen, fitted = order[: len(val)], order[len(val) : len(val) + n_fit]
    return both[fitted].sort().values, both[chosen].sort().values
