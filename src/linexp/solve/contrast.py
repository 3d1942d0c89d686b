"""Rows on which columns are high, rows on which they are low although all others are alike, and words of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.solve.products import accumulate_product, multiply
from linexp.solve.top_rows import top_rows

# Rows and groups looked at a time: a few MB of float64 each for thousands of columns.
_ROWS, _GROUPS = 256, 128


@dataclass(frozen=True, eq=False)
class Contrast:
    """Rows of each group of columns: where all of it are high, and where all are low and the others alike."""

    high: Bool[Tensor, "rows groups"]
    low: Bool[Tensor, "rows groups"]


def normalise_rows(values: Float[Tensor, "rows columns"]) -> tuple[Float[Tensor, "rows columns"], float, float]:
    """Return the rows at length 1, zeros where it was 0, and the mean and standard deviation of all their values."""
    pieces = [torch.nn.functional.normalize(some.to(torch.float64)) for some in values.split(_ROWS)]
    n_values = values.numel()
    mean = sum(float(piece.sum()) for piece in pieces) / n_values
    squares = sum(float((piece - mean).square().sum()) for piece in pieces)
    return torch.cat(pieces), mean, (squares / max(n_values - 1, 1)) ** 0.5


def find_contrast(
    values: Float[Tensor, "rows columns"],
    groups: Sequence[Sequence[int]],
    n_deviations: float,
    n_low: int,
    low_alike: float,
) -> Contrast:
    """Find the rows of each group of columns, see ``Contrast``.

    Parameters
    ----------
    values
        All columns; each row is brought to length 1.
    groups
        Columns of each group.
    n_deviations
        Standard deviations above the mean of all values from which one is high; low is below that mean.
    n_low
        Most low rows of a group; those whose other columns are most alike the mean of its high rows.
    low_alike
        The least product of the two with which a row counts as alike.
    """
    rows, mean, deviation = normalise_rows(values)
    high = _all_of(rows >= mean + n_deviations * deviation, groups)
    low = _all_of(rows < mean, groups)
    counts = high.sum(0)
    means = accumulate_product(zip(rows.split(_ROWS), high.split(_ROWS), strict=True))
    means /= counts.clamp_min(1)[:, None]
    for place, group in enumerate(groups):
        means[place, list(group)] = 0  # the others alone are compared
    chosen = torch.zeros_like(low)
    if n_low:
        for start in range(0, len(groups), _GROUPS):
            strip = slice(start, start + _GROUPS)
            alike = torch.cat([multiply(means[strip], some.T).T for some in rows.split(_ROWS)])
            alike = alike.where(low[:, strip] & (alike >= low_alike) & (counts[strip] > 0), -torch.inf)
            best = torch.from_numpy(top_rows(alike, min(n_low, len(rows))).T.copy())
            chosen[:, strip] = torch.zeros_like(low[:, strip]).scatter_(0, best, True) & (alike > -torch.inf)
    return Contrast(high, chosen)


def score_words(
    similar: Callable[[Int[Tensor, " rows"]], Float[Tensor, "rows words"]],
    contrast: Contrast,
    scale: float,
    n_words: int,
) -> tuple[Float[Tensor, "groups words"], Float[Tensor, "groups words"]]:
    """Return the mean score of each word in each group's high rows and in its low rows, 0 where there are none.

    A row's scores are the softmax of its similarities times ``scale``; those below its ``n_words`` highest count as 0.
    """
    both = torch.cat([contrast.high, contrast.low], 1)
    places = torch.nonzero(both.any(1)).flatten()
    if not len(places):
        words = similar(torch.zeros(1, dtype=torch.int64)).shape[1]
        none = torch.zeros(contrast.high.shape[1], words, dtype=torch.float64)
        return none, none.clone()
    total = accumulate_product((_scores(similar(some), scale, n_words), both[some]) for some in places.split(_ROWS))
    means = total / both.sum(0).clamp_min(1)[:, None]
    high, low = means.split(contrast.high.shape[1])
    return high, low


def _scores(similar: Tensor, scale: float, n_words: int) -> Tensor:
    scores = torch.softmax(similar.to(torch.float64) * scale, 1)
    least = scores.topk(min(n_words, scores.shape[1]), 1).values[:, -1:]
    return scores.where(scores >= least, 0.0)


def _all_of(holds: Bool[Tensor, "rows columns"], groups: Sequence[Sequence[int]]) -> Bool[Tensor, "rows groups"]:
    return torch.stack([holds[:, list(group)].all(1) for group in groups], 1)
