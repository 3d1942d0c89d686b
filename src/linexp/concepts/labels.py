"""Concepts from labels: class names, groups of classes, or any table of zeros and ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linexp.concepts.vocabulary import Group, OpenMojiImages, resolve_groups
from linexp.images import Images, ImageSubset, as_images
from linexp.matrix import ConceptMatrix


@dataclass(frozen=True, eq=False)
class LabelConcepts:
    """Presence 0 or 1 from labels (LE(Label) in the paper).

    Either the images' own class labels, one concept per class and one per group, or a table.

    Parameters
    ----------
    groups
        From the name of a group (superclass) to its members: class names, class numbers (from 0), or names of other
        groups; or a mapping again, for groups inside groups. An image has a group's concept if its class is anywhere
        inside. A member that is the name of a class and of a group stands for both.
    table
        Zeros and ones [images, concepts], for images with several labels each: a tensor, an array, nested lists or a
        pandas frame. Takes the place of the class labels.
    names
        Names of the table's columns.

    Raises
    ------
    ValueError
        A table without names, names without a table, or a table together with groups.

    Examples
    --------
    >>> import numpy as np
    >>> from linexp import ImageArray
    >>> images = ImageArray(np.zeros((3, 8, 8, 3), np.uint8), [0, 1, 2], ["cat", "dog", "car"])
    >>> LabelConcepts({"animal": ["cat", "dog"]}).describe(images).values[:, 3].tolist()
    [1.0, 1.0, 0.0]
    """

    groups: Mapping[str, Group] | None = None
    table: Any = None
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if (self.table is None) != (self.names is None):
            raise ValueError("A table of labels needs one name per column: pass table and names together.")
        if self.table is not None and self.groups is not None:
            raise ValueError("A table of labels has no classes to group. Add the groups as columns of the table.")
        if isinstance(self.names, str):
            raise ValueError(f"The names of the table's columns are the text {self.names!r}. Give a list of names.")

    def describe(self, images: Any) -> ConceptMatrix:
        """Return the concepts of each image, classes first, then groups in the order given.

        Columns of the same name, such as a group named like a class, are merged with a warning. Concepts that no
        training image has are dropped, and listed, by the explainer.

        Parameters
        ----------
        images
            An image collection with labels, or anything ``as_images`` turns into one.

        Raises
        ------
        ValueError
            The images have no labels, or all the same one; a group has an unknown member, none, or contains itself;
            the table has another number of rows, or anything but zeros and ones.
        """
        collection = as_images(images)
        if self.table is not None:
            return self._from_table(collection)
        whole, rows = _whole(collection)
        if isinstance(whole, OpenMojiImages) and self.groups is None:
            return LabelConcepts(table=whole.table[rows], names=whole.label_names)._from_table(collection)
        labels, names = _require_labels(collection)
        members = resolve_groups(self.groups or {}, names)
        columns = torch.zeros(len(names), len(names) + len(members))
        columns.fill_diagonal_(1)
        for column, classes in enumerate(members.values(), start=len(names)):
            columns[list(classes), column] = 1
        return ConceptMatrix(columns[torch.tensor(labels)], [*names, *members], collection.fingerprint)

    def _from_table(self, images: Images) -> ConceptMatrix:
        values = _as_numbers(self.table)
        if values.ndim != 2 or values.shape[0] != len(images):
            raise ValueError(
                f"The table of labels has the shape {list(values.shape)} for {len(images)} images. "
                "Give it one row per image, in the same order."
            )
        if not bool(((values == 0) | (values == 1)).all()):
            row, column = (int(index) for index in torch.nonzero((values != 0) & (values != 1))[0])
            raise ValueError(
                f"The table of labels is {values[row, column].item()} in row {row}, column {column}. "
                "Use 0 for absent and 1 for present."
            )
        names = list(self.names or ())
        if len(names) != values.shape[1]:
            raise ValueError(f"The table of labels has {values.shape[1]} columns and {len(names)} names. Name each.")
        return ConceptMatrix(values.to(torch.float32), names, images.fingerprint)


def _as_numbers(table: Any) -> Tensor:
    """Return the table at its own precision: rounding to float32 first would make a 1 of 0.99999999."""
    try:
        return table if isinstance(table, Tensor) else torch.as_tensor(np.array(table))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The table of labels is not a matrix of numbers ({error}). Use 0 for absent and 1 for present."
        ) from error


def _whole(images: Images) -> tuple[Images, list[int]]:
    """Return the collection that these are some of, and which of it they are."""
    if isinstance(images, ImageSubset):
        return images.images, list(images.rows)
    return images, list(range(len(images)))


def _require_labels(images: Images) -> tuple[Sequence[int], Sequence[str]]:
    if images.labels is None:
        raise ValueError(
            "These images have no labels. Sort them into one folder per class, pass labels with them, "
            "or give LabelConcepts a table."
        )
    present = set(images.labels)
    if len(present) < 2:
        only = images.label_names[next(iter(present))] if present else ""
        raise ValueError(
            f"All {len(images)} images have the label '{only}', so labels cannot tell them apart. "
            "Add images of other classes."
        )
    for name in images.label_names:
        if not name.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(
                f"The class name {name!r} is not text in UTF-8, so it cannot be printed or saved. Rename its folder."
            )
    return images.labels, images.label_names
