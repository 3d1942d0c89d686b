"""Intersection over union of sets of rows, all with all, within the rows where a column competes."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.solve.bits import Words, joint_counts


def overlap_within(
    active: Words, columns: Words, fields: Words, field_of: Int[Tensor, " columns"]
) -> Float[Tensor, "neurons columns"]:
    """Return the IoU of each neuron's active rows with each column.

    Parameters
    ----------
    active
        Packed active rows [neurons, words].
    columns
        Packed columns [columns, words].
    fields
        Packed rows [fields, words]; a column lies within its field, and active rows outside are not counted.
    field_of
        Field of each column.
    """
    both = joint_counts(active, columns)
    sizes = joint_counts(columns, np.bitwise_or.reduce(columns)[None])[:, 0]
    either = joint_counts(active, fields)[:, field_of] + sizes - both
    return both.double() / either.clamp(min=1)


def coverage(
    active: Bool[Tensor, "rows pairs"], holds: Bool[Tensor, "rows pairs"], image: Int[Tensor, " rows"] | None = None
) -> Float[Tensor, "pairs measures"]:
    """Return how well sets of active rows and of rows in which something holds cover each other.

    Parameters
    ----------
    active, holds
        A column of each for every pair.
    image
        Image of each row, from 0 on; default: each row is an image of its own.

    Returns
    -------
    Tensor
        IoU; activation coverage, the share of active rows in which it holds; detection accuracy, the share of the rows
        in which it holds that are active; sample coverage, the share of the images in which it holds somewhere where
        it does so in an active row; explanation coverage, the same share of the images active somewhere. NaN where
        there is nothing to share.
    """
    both = active & holds
    n_both, n_active, n_holds = (rows.sum(0) for rows in (both, active, holds))
    shared, active_in, holds_in = (_anywhere(rows, image).sum(0) for rows in (both, active, holds))
    pairs = (
        (n_both, n_active + n_holds - n_both),
        (n_both, n_active),
        (n_both, n_holds),
        (shared, holds_in),
        (shared, active_in),
    )
    return torch.stack([part.double() / whole for part, whole in pairs], 1)


def _anywhere(rows: Bool[Tensor, "rows pairs"], image: Int[Tensor, " rows"] | None) -> Bool[Tensor, "images pairs"]:
    if image is None:
        return rows
    n_images = int(image.max()) + 1
    return torch.zeros(n_images, rows.shape[1], dtype=torch.int64).index_add_(0, image, rows.long()) > 0
