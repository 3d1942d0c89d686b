"""Which images an explanation is fitted on, chosen on, and scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from linexp._checks import DifferentImagesError, check_at_least


@dataclass(frozen=True, eq=False, init=False)
class Split:
    """Disjoint rows: weights are fitted on ``train``, terms chosen on ``val``, explanations scored on ``test``.

    Parameters
    ----------
    train, val, test
        Row numbers of the images, at least two in each (a correlation needs two), none in more than one.

    Raises
    ------
    ValueError
        A part has fewer than two rows, repeats one, or shares one with another part.

    References
    ----------
    Paper, Section 3.2: 70 % train, 10 % validation, 20 % test.
    """

    train: Int[Tensor, " train"]
    val: Int[Tensor, " val"]
    test: Int[Tensor, " test"]

    def __init__(
        self,
        train: Sequence[int] | Int[Tensor, " train"],
        val: Sequence[int] | Int[Tensor, " val"],
        test: Sequence[int] | Int[Tensor, " test"],
    ) -> None:
        parts = {"train": _as_rows(train), "val": _as_rows(val), "test": _as_rows(test)}
        for name, rows in parts.items():
            _check_part(name, rows)
            object.__setattr__(self, name, rows)
        _check_disjoint(parts)

    @staticmethod
    def random(
        n_images: int,
        seed: int = 0,
        fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    ) -> Split:
        """Draw a split of ``n_images`` rows; the same seed gives the same split on every machine.

        Parameters
        ----------
        n_images
            Number of images.
        seed
            Seed of the permutation.
        fractions
            Shares of train, val and test: positive, with the sum 1.

        Raises
        ------
        ValueError
            The fractions are not positive or do not add up to 1, the seed is negative, or a part would get fewer than
            two images.
        TypeError
            ``n_images`` is no whole number.

        Examples
        --------
        >>> Split.random(100).test.shape
        torch.Size([20])
        """
        check_at_least("seed", seed, 0)
        if not hasattr(n_images, "__index__"):
            raise TypeError(f"n_images is {n_images!r}. Give a whole number.")
        # Written so that NaN fails too.
        if len(fractions) != 3 or not (all(share > 0 for share in fractions) and abs(sum(fractions) - 1) <= 1e-9):
            raise ValueError(
                f"The fractions of the split are {fractions}. Give three positive numbers that add up to 1."
            )
        n_val, n_test = (round(n_images * fraction) for fraction in fractions[1:])
        if min(n_val, n_test, n_images - n_val - n_test) < 2:
            raise ValueError(
                f"{n_images} images split by {fractions} leave fewer than two in one part "
                f"(train {n_images - n_val - n_test}, val {n_val}, test {n_test}). Use more images."
            )
        n_train = n_images - n_val - n_test
        order = np.random.default_rng(seed).permutation(n_images)
        train, val, test = np.split(order, [n_train, n_train + n_val])
        return Split(*(torch.from_numpy(np.sort(rows)) for rows in (train, val, test)))

    def check(self, n_images: int) -> None:
        """Raise ``DifferentImagesError`` if the split names a row that ``n_images`` images do not have."""
        largest = max(int(rows.max()) for rows in (self.train, self.val, self.test))
        if largest >= n_images:
            raise DifferentImagesError(
                f"The split names image {largest}, but there are only {n_images} images (0 to {n_images - 1}). "
                "Make the split from the number of images you recorded."
            )


def _as_rows(rows: Sequence[int] | Tensor) -> Tensor:
    try:
        tensor = torch.as_tensor(rows)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"The rows of a split cannot be read ({error}). Give row numbers (whole numbers).") from error
    if tensor.numel() and (tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool):
        raise ValueError(f"The rows of a split are of type {tensor.dtype}. Give row numbers (whole numbers).")
    return tensor.to(torch.int64).flatten()


def _check_part(name: str, rows: Tensor) -> None:
    if rows.numel() < 2:
        raise ValueError(f"The {name} part of the split has {rows.numel()} images. Give it at least two.")
    if int(rows.min()) < 0:
        raise ValueError(f"The {name} part of the split contains row {int(rows.min())}. Rows start at 0.")
    if torch.unique(rows).numel() < rows.numel():
        values, counts = torch.unique(rows, return_counts=True)
        raise ValueError(
            f"The {name} part of the split contains row {int(values[counts > 1][0])} twice. Name each image once."
        )


def _check_disjoint(parts: dict[str, Tensor]) -> None:
    names = list(parts)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        shared = parts[names[first]][torch.isin(parts[names[first]], parts[names[second]])]
        if shared.numel():
            raise ValueError(
                f"The split has {shared.numel()} images both in {names[first]} and in {names[second]} "
                f"(row {int(shared[0])} first). Scores on images that were fitted on say nothing: "
                "make the parts disjoint."
            )
