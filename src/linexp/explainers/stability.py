"""How stable a choice of terms is: the share of redraws of the images in which the whole procedure makes it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from linexp.explanations import Concept, Explanation

# The same images give the same redraws, on every machine.
_SEED = 0
# Images a redraw fits on, as a share of the number of training images. With it as many terms are chosen again as with
# another seed of the split, which draws from the test images too; measured by benchmarks/stability.py.
FIT_SHARE = 0.75


def count_again(
    items: Iterable[Explanation],
    explain: Callable[[Tensor, Tensor], Iterable[Explanation]],
    train: Tensor,
    val: Tensor,
    n_repeats: int,
) -> tuple[Explanation, ...]:
    """Return explanations whose terms say in which share of redraws ``explain`` finds them again."""
    again: Counter[tuple[int, Concept]] = Counter()
    for repeat in range(n_repeats):
        for item in explain(*redraw(train, val, repeat)):
            again.update((item.neuron, concept) for concept in item.concepts)
    return tuple(
        replace(
            item,
            terms=tuple(replace(term, kept=again[item.neuron, term.concept] / n_repeats) for term in item.terms),
        )
        for item in items
    )


def redraw(train: Tensor, val: Tensor, repeat: int) -> tuple[Tensor, Tensor]:
    """Draw images to fit on and images to choose by from those of both, as many to choose by as there were."""
    rng = np.random.default_rng((_SEED, repeat))
    order = torch.from_numpy(rng.permutation(len(train) + len(val)))
    n_fit = max(round(FIT_SHARE * len(train)), 2)
    both = torch.cat([train, val])
    chosen, fitted = order[: len(val)], order[len(val) : len(val) + n_fit]
    return both[fitted].sort().values, both[chosen].sort().values
