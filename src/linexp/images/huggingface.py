"""Pictures in a Hugging Face dataset; the only file that imports ``datasets``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from linexp._internal.checks import check_choice, listing
from linexp.images.base import check_labels, summary
from linexp.images.reading import reading
from linexp.images.rgb import to_rgb


@dataclass(frozen=True, eq=False, init=False, repr=False)
class HuggingFaceImages:
    """Pictures in a column of a ``datasets.Dataset``, decoded by the dataset.

    Parameters
    ----------
    dataset
        One split of a dataset (not a stream).
    image_column
        Column of the pictures. ``None``: the only column of pictures.
    label_column
        Column of the classes. ``None``: the ``ClassLabel`` column, if there is exactly one and it has labels.

    Raises
    ------
    ImportError
        The package ``datasets`` is not installed.
    TypeError
        ``dataset`` is not a ``datasets.Dataset``.
    ValueError
        There is no image, no or more than one column of pictures, or the column named is not of its kind; only
        some images have a label.
    """

    dataset: Any
    image_column: str
    label_column: str | None
    labels: tuple[int, ...] | None
    label_names: tuple[str, ...]

    def __init__(self, dataset: Any, image_column: str | None = None, label_column: str | None = None) -> None:
        datasets = _import_datasets()
        _check_dataset(datasets, dataset)
        image = _choose_images(datasets, dataset, image_column)
        label = _choose_labels(datasets, dataset, label_column)
        labels = None if label is None else _read_labels(dataset, label)
        names = tuple(dataset.features[label].names) if labels is not None else ()
        object.__setattr__(self, "dataset", dataset)
        object.__setattr__(self, "image_column", image)
        object.__setattr__(self, "label_column", label if labels is not None else None)
        object.__setattr__(self, "labels", check_labels(labels, names, len(dataset)))
        object.__setattr__(self, "label_names", names)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Image.Image:
        row = range(len(self))[index]  # raises IndexError here, where it is no broken image
        with reading(self.name(row)):
            picture = self._pictures[row][self.image_column]
            if picture is None:
                raise OSError("the row holds no picture")
            return to_rgb(picture)

    def __repr__(self) -> str:
        return summary("HuggingFaceImages", len(self), self.label_names)

    def name(self, index: int) -> str:
        """Return "image 17" for row 17."""
        return f"image {index}"

    @property
    def fingerprint(self) -> str:
        """Identifier made from the dataset's own fingerprint and the column of the pictures."""
        identity = f"huggingface {self.dataset._fingerprint} {self.image_column}"
        return hashlib.sha256(identity.encode()).hexdigest()

    @cached_property
    def _pictures(self) -> Any:
        """The column of pictures alone, decoded whatever format or transform the user set on the dataset."""
        alone = self.dataset.with_format(None).select_columns([self.image_column])
        feature = alone.features[self.image_column]
        if feature.decode:
            return alone
        return alone.cast_column(self.image_column, _import_datasets().Image(mode=feature.mode))


def _import_datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            'Hugging Face datasets need the package datasets. Install it: pip install "linexp[datasets]".'
        ) from error
    return datasets


def _check_dataset(datasets: Any, dataset: Any) -> None:
    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise TypeError(
            f"The dataset has several splits ({listing(dataset)}). "
            f"Choose one: dataset['{next(iter(dataset), 'train')}']."
        )
    if isinstance(dataset, datasets.IterableDataset):
        raise TypeError("The dataset is a stream without rows. Load it with streaming=False.")
    if not isinstance(dataset, datasets.Dataset):
        raise TypeError(f"The dataset is of type {type(dataset).__name__}. Give a datasets.Dataset.")
    if len(dataset) == 0:
        raise ValueError("The dataset has no rows. Give at least one image.")


def _choose_images(datasets: Any, dataset: Any, column: str | None) -> str:
    found = _columns(dataset, datasets.Image)
    if not found:
        raise ValueError(
            f"The dataset has no column of pictures (columns: {listing(dataset.column_names)}). "
            "Turn one into pictures: dataset.cast_column('…', datasets.Image())."
        )
    if column is not None:
        check_choice("image_column", column, found)
        return column
    if len(found) > 1:
        raise ValueError(
            f"The dataset has {len(found)} columns of pictures ({listing(found)}). Choose one: image_column=…."
        )
    return found[0]


def _choose_labels(datasets: Any, dataset: Any, column: str | None) -> str | None:
    found = _columns(dataset, datasets.ClassLabel)
    if column is None:
        return found[0] if len(found) == 1 else None
    if column in dataset.column_names and column not in found:
        raise ValueError(
            f"The column '{column}' is not a ClassLabel, so its classes have no names. "
            f"Make it one: dataset.class_encode_column('{column}')."
        )
    check_choice("label_column", column, found)
    return column


def _columns(dataset: Any, kind: type) -> list[str]:
    return [name for name, feature in dataset.features.items() if isinstance(feature, kind)]


def _read_labels(dataset: Any, column: str) -> Sequence[int] | None:
    """Return the labels, or ``None`` if no row has one: test splits mark that by -1 or an empty field."""
    labels = list(dataset.with_format(None)[column])
    missing = [row for row, label in enumerate(labels) if label is None or label == -1]
    if len(missing) == len(labels):
        return None
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(labels)} images have no label in '{column}' (first: image {missing[0]}). "
            f"Leave them out with dataset.filter, or drop the column: dataset.remove_columns('{column}')."
        )
    return labels
