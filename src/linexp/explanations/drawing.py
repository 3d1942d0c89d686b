"""What an explanation draws: its neuron's pictures, area chart and bars; the methods of ``Explanation`` call these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_at_least, check_same_images
from linexp.explanations.columns import Columns
from linexp.figures import Bar, Shares, choose_pictures, draw_area, draw_pictures, even_ranges, share_ranges
from linexp.images import ImageSubset, as_images
from linexp.matrix import ActivationMatrix, ConceptMatrix

if TYPE_CHECKING:
    from linexp.explanations.explanation import Explanation, Term


def plot_ranges(
    explanation: Explanation,
    recorded: ActivationMatrix,
    images: Any,
    rows: Sequence[int] | Tensor | None,
    n_ranges: int,
    n_pictures: int,
    seed: int,
    axes: Any,
) -> Any:
    """Draw pictures of every range; see ``Explanation.plot_ranges``."""
    check_at_least("n_ranges", n_ranges, 1)
    check_at_least("n_pictures", n_pictures, 1)
    images = as_images(images)
    fingerprint = images.fingerprint if recorded.images is not None else None
    check_same_images(fingerprint, recorded.images, len(images), recorded.n_images)
    kept = _rows(rows, recorded.n_images)
    column = _column(recorded, explanation.neuron, kept)
    ranges = even_ranges(column, n_ranges)
    chosen = choose_pictures(column, ranges, n_pictures, (seed, abs(explanation.neuron), int(explanation.neuron < 0)))
    shown = ImageSubset(images, kept.tolist())
    return draw_pictures(chosen, shown, column, ranges, _title(explanation, recorded), axes)


def plot_area(
    explanation: Explanation,
    recorded: ActivationMatrix,
    concepts: ConceptMatrix,
    rows: Sequence[int] | Tensor | None,
    n_ranges: int,
    shares: Shares,
    axes: Any,
) -> Any:
    """Draw the area chart; see ``Explanation.plot_area``."""
    check_at_least("n_ranges", n_ranges, 1)
    check_same_images(recorded.images, concepts.images, recorded.n_images, concepts.n_images)
    kept = _rows(rows, recorded.n_images)
    column = _column(recorded, explanation.neuron, kept)
    presence = Columns(concepts, explanation.concepts).block(kept).numpy()
    ranges = even_ranges(column, n_ranges)
    area = share_ranges(presence, tuple(map(str, explanation.concepts)), column, ranges, shares)
    return draw_area(area, ranges, _title(explanation, recorded), axes)


def bars_of(explanation: Explanation) -> list[Bar]:
    """Return a bar for each term, its weight with its standard error where that is known."""
    return [
        Bar(
            str(term.concept),
            term.weight,
            f"{term.weight:.3g}".replace("-", "−") + ("" if term.error is None else f" ± {term.error:.2g}"),
            "; ".join(filter(None, (_again(term), _also(term)))),
        )
        for term in explanation.terms
    ]


def _again(term: Term) -> str:
    return "" if term.kept is None else f"chosen again in {term.kept:.0%} of redraws"


def _also(term: Term) -> str:
    return f"also: {', '.join(term.synonyms)}" if term.synonyms else ""


def _title(explanation: Explanation, recorded: ActivationMatrix) -> str:
    return f"neuron {explanation.neuron}" + (f" of {recorded.layer}" if recorded.layer else "")


def _rows(rows: Sequence[int] | Tensor | None, n_images: int) -> Int[Tensor, " rows"]:
    kept = torch.arange(n_images) if rows is None else torch.as_tensor(rows).to(torch.int64).flatten()
    if not len(kept):
        raise ValueError("There is no image to choose from. Give at least one row.")
    outside = kept[(kept < 0) | (kept >= n_images)]
    if len(outside):
        raise ValueError(f"There is no image {int(outside[0])}. Choose among 0 to {n_images - 1}.")
    return kept


def _column(recorded: ActivationMatrix, neuron: int, rows: Tensor) -> Float[np.ndarray, " images"]:
    return recorded.select([neuron]).block(rows)[:, 0].double().numpy()
