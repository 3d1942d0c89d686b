"""Which images an explanation is fitted on, chosen on, and scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from linexp._internal.checks import DifferentImagesError, check_at_least
from linexp.images import as_images
from linexp.matrix.activation import ActivationMatrix
from linexp.matrix.regions import Regions
from linexp.matrix.split_file import read_parts


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
    def random(n_images: int, seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> Split:
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

    @staticmethod
    def from_file(path: str | Path, images: Any = None) -> Split:
        """Read a split from a file, or from a folder as the paper's authors publish theirs.

        JSON: ``{"train": [0, 1], "val": [2, 3], "test": [4, 5]}``. CSV: the columns ``part`` (train, val, test, or
        nothing) and ``image`` or ``row``, as in the ``images.csv`` of a result. A folder: ``train_ids.pt``,
        ``val_ids.pt`` and ``test_ids.pt``, each a tensor or a list of row numbers. Images that are named nowhere take
        no part.

        Parameters
        ----------
        path
            The file or folder.
        images
            The images, whatever ``record`` takes: needed where the file names images instead of numbering rows. An
            image goes by its name, or by the end of it, such as "dog/7.png", that no other image has.

        Raises
        ------
        FileNotFoundError
            There is no such file or folder, or the folder lacks one of the three.
        ValueError
            It is of no known layout, names images that are not there, or its parts are none of a split.
        DifferentImagesError
            It names a row that the images do not have.
        """
        collection = None if images is None else as_images(images)
        names = None if collection is None else [collection.name(row) for row in range(len(collection))]
        parts = read_parts(Path(path), names)
        try:
            split = Split(**parts)
        except ValueError as error:
            raise ValueError(f"{error} It is said in '{path}'.") from error
        if collection is not None:
            split.check(len(collection))
        return split

    def for_rows(self, activations: ActivationMatrix) -> Split:
        """Return the split of regions that this split of images makes: all regions of an image are in one part.

        Where the rows are whole images it is this split.

        Raises
        ------
        DifferentImagesError
            It names an image that was not recorded.
        """
        if activations.regions is not None:
            return self.for_regions(activations.regions)
        self.check(activations.n_images)
        return self

    def for_regions(self, regions: Regions) -> Split:
        """Return what ``for_rows`` does, of regions that nothing was recorded of yet."""
        self.check(regions.n_images)
        return Split(*map(regions.rows_of, (self.train, self.val, self.test)))

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
    for (first, one), (second, other) in combinations(parts.items(), 2):
        shared = one[torch.isin(one, other)]
        if shared.numel():
            raise ValueError(
                f"The split has {shared.numel()} images both in {first} and in {second} "
                f"(row {int(shared[0])} first). Scores on images that were fitted on say nothing: "
                "make the parts disjoint."
            )
