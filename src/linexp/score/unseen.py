"""Scores are taken on images that the explanations have not seen: how many were, and a refusal if any was."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix


def count_seen(
    explanations: Explanations, recorded: ActivationMatrix, rows: Sequence[int] | Int[Tensor, " rows"]
) -> int | None:
    """Count the images among some rows that explanations were fitted or chosen on.

    Returns
    -------
    int or None
        ``None``: not known, because the explanations do not say, or say it of another image collection than the
        recorded one, or because one of the two has no fingerprint.
    """
    return None if explanations.fitted_on is None else explanations.fitted_on.count(recorded.images, rows)


def check_unseen(
    explanations: Explanations, recorded: ActivationMatrix, rows: Sequence[int] | Int[Tensor, " rows"]
) -> None:
    """Refuse to score explanations on images that they are known to be fitted or chosen on.

    Scorers see simulations, not explanations, so this is for whoever scores explanations that come from elsewhere;
    ``linexp score``, ``linexp ablate`` and the report call it.

    Raises
    ------
    ValueError
        Some of the rows are among ``explanations.fitted_on``. Nothing is raised where that is not known.

    Examples
    --------
    >>> import linexp as le
    >>> planted, one, other = le.make_planted(200), le.Split.random(200), le.Split.random(200, seed=1)
    >>> activations = le.ActivationMatrix(planted.activations.values, images="planted")
    >>> explanations = le.LinearExplainer().explain(activations, planted.concepts, one)
    >>> check_unseen(explanations, activations, one.test)
    >>> count_seen(explanations, activations, other.test)
    30
    """
    seen = count_seen(explanations, recorded, rows)
    if seen:
        raise ValueError(
            f"The explanations were fitted or chosen on {seen:,} of the {len(rows):,} images that they would be scored "
            "on, so the scores would be too high. Score on test images of the split they were made with, or explain "
            "anew with this split."
        )
