"""Links for explanations that have none: how activations rise with the weighted sum, from the training images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_same_images
from linexp.explanations import Explanation, Explanations, Link, simulate
from linexp.matrix import ActivationMatrix, ConceptMatrix, Split
from linexp.solve import pool_adjacent_violators

# Of so many knots the validation images choose. More follow the training images' noise, and nobody reads them.
_KNOTS = (3, 5, 7)
# Fewer images a knot than this, and its mean says little.
_LEAST_IMAGES = 5


def fit_links(
    explanations: Explanations, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split
) -> Explanations:
    """Give each explanation the monotone link that predicts its neuron best, where one is better than none.

    The training images are parted by the explanation's weighted sum into as many equal groups as there are knots; a
    knot is the mean sum and the mean activation of a group, and isotonic regression pools those that fall. The
    validation images choose between 3, 5 and 7 knots and no link, by correlation.

    Parameters
    ----------
    explanations
        Explanations by any method of recorded neurons.
    activations
        Recorded activations [images, neurons].
    concepts
        The presences in the same images that they were fitted on.
    split
        Fits on ``split.train`` and chooses on ``split.val``; never looks at ``split.test``.

    Returns
    -------
    Explanations
        The same weights and biases. Where there is a link, the validation correlation is that with the link; its
        standard error is still that without.

    Raises
    ------
    DifferentImagesError
        The two matrices are of different images, or the split names images they do not have.
    ValueError
        A neuron was not recorded, or ``concepts`` lacks a concept.
    """
    check_same_images(activations.images, concepts.images, activations.n_images, concepts.n_images)
    split.check(activations.n_images)
    plain = replace(explanations, items=tuple(replace(item, link=None) for item in explanations))
    sums, recorded = simulate(plain, concepts), activations.select(explanations.neurons)
    parts = [(sums.block(rows).double(), recorded.block(rows).double()) for rows in (split.train, split.val)]
    (train, active), (val, chosen) = parts
    items = [
        _linked(item, train[:, place], active[:, place], val[:, place], chosen[:, place]) if item.terms else item
        for place, item in enumerate(plain)
    ]
    return replace(explanations, items=tuple(items))


def _linked(item: Explanation, train: Tensor, active: Tensor, val: Tensor, chosen: Tensor) -> Explanation:
    best, link = _correlation(val, chosen), None
    for n_knots in _KNOTS:
        tried = _fit(train.numpy(), active.numpy(), n_knots)
        value = -1.0 if tried is None else _correlation(tried(val), chosen)
        if value > best:
            best, link = value, tried
    return item if link is None else replace(item, link=link, val_correlation=best)


def _fit(sums: Float[np.ndarray, " images"], active: Float[np.ndarray, " images"], n_knots: int) -> Link | None:
    """Return the link with at most so many knots; ``None`` where too few images or sums differ."""
    if len(sums) < n_knots * _LEAST_IMAGES:
        return None
    order = np.argsort(sums, kind="stable")
    groups = np.array_split(order, n_knots)
    # A mean that rounding brought outside its group would fall.
    means = [float(np.clip(sums[group].mean(), sums[group[0]], sums[group[-1]])) for group in groups]
    # Where many images have the same sum, groups do: they are one knot.
    known = {mean: np.concatenate([g for g, m in zip(groups, means, strict=True) if m == mean]) for mean in means}
    if len(known) < 2:
        return None
    levels = [float(active[group].mean()) for group in known.values()]
    found = pool_adjacent_violators(levels, list(map(len, known.values())))
    return Link(tuple(known), tuple(found)) if found[0] < found[-1] else None


def _correlation(one: Tensor, other: Tensor) -> float:
    """Return the correlation of two columns; −1 where one is constant."""
    left, right = one - one.mean(), other - other.mean()
    size = float(left.norm() * right.norm())
    return float(left @ right) / size if size > 0 else -1.0
