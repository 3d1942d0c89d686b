"""Decode and transform the images of a collection, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp.images.base import Images
from linexp.images.reading import reason_of, unreadable
from linexp.images.workers import choose_workers, work_through

Transform: TypeAlias = Callable[[Image.Image], Tensor]


_Outcome: TypeAlias = Tensor | Exception


_Form: TypeAlias = tuple[torch.Size, torch.dtype]


def decoded_batches(
    images: Images, transform: Transform, *, batch_size: int, workers: int | None = None
) -> Generator[Tensor, None, None]:
    """Yield ``transform`` of every image, stacked to batches, in the order of the images.

    Neither ``workers`` nor ``batch_size`` changes a value, as long as ``transform`` draws no random numbers.
    The processes end as soon as the iterator is exhausted, closed or interrupted.

    Parameters
    ----------
    images
        The collection.
    transform
        Makes a tensor from one upright RGB picture; the shape must be the same for all.
    batch_size
        Images in a batch; the last one may have fewer.
    workers
        Processes that decode and transform. 0: this one. ``None``: 0 for fewer than 64 images or where
        processes cannot be forked, otherwise one for each processor, at most 8.

    Raises
    ------
    OSError
        An image cannot be read.
    ValueError
        The transform fails on an image, or gives different shapes for different images.
    TypeError
        The transform does not return a tensor.
    """
    check_at_least("batch_size", batch_size, 1)
    choose_workers(workers, len(images))  # a wrong number is reported now, not at the first batch
    return _batches(images, transform, batch_size, workers)


def _batches(
    images: Images, transform: Transform, batch_size: int, workers: int | None
) -> Generator[Tensor, None, None]:
    outcomes = work_through(
        len(images),
        partial(_outcome, images, transform),
        _stack,
        batch_size=batch_size,
        workers=workers,
    )
    first: _Form | None = None
    row = 0
    try:
        for batch in outcomes:
            if first is None:
                first = next((_form(item) for item in batch if isinstance(item, Tensor)), None)
            if isinstance(batch, list):
                _raise_first(images, batch, row, first)
            else:
                _check_form(images, _form(batch[0]), row, first)
                yield batch
            row += len(batch)
    finally:
        outcomes.close()


def _outcome(images: Images, transform: Transform, row: int) -> _Outcome:
    try:
        picture = images[row]
    except Exception as error:  # noqa: BLE001 - every failure travels as a value
        return _caused_by(error, OSError(unreadable(images.name(row), reason_of(error))))
    try:
        tensor = transform(picture)
    except Exception as error:  # noqa: BLE001
        text = " ".join(f"{type(error).__name__}: {error}".split())
        failure = ValueError(
            f"The transform failed on the image '{images.name(row)}' ({text}). It must make a tensor from "
            "an RGB picture (PIL.Image.Image); workers=0 shows where it failed."
        )
        return _caused_by(error, failure)
    if not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        return TypeError(
            f"The transform returned a {type(tensor).__name__} for the image '{images.name(row)}'. "
            "It must return a torch.Tensor."
        )
    return tensor.detach()


def _caused_by(cause: Exception, failure: Exception) -> Exception:
    failure.__cause__ = cause  # seen with workers=0; between processes only the failure itself travels
    return failure


def _stack(outcomes: list[_Outcome]) -> Tensor | list[_Outcome]:
    """Stack a sound batch; hand back the list of one that is not, for the parent process to judge."""
    tensors = [outcome for outcome in outcomes if isinstance(outcome, Tensor)]
    if len(tensors) < len(outcomes) or any(_form(tensor) != _form(tensors[0]) for tensor in tensors):
        return outcomes
    return torch.stack(tensors)


def _form(tensor: Tensor) -> _Form:
    return tensor.shape, tensor.dtype


def _raise_first(images: Images, outcomes: list[_Outcome], row: int, first: _Form | None) -> None:
    for offset, outcome in enumerate(outcomes):
        if isinstance(outcome, Exception):
            raise outcome
        _check_form(images, _form(outcome), row + offset, first)


def _check_form(images: Images, form: _Form, row: int, first: _Form | None) -> None:
    if first is None or form == first:
        return
    found, wanted = ((list(shape) if form[0] != first[0] else dtype) for shape, dtype in (form, first))
    raise ValueError(
        f"The transform gives {found} for the image '{images.name(row)}' but {wanted} for '{images.name(0)}'. "
        "It must give the same shape and type for every image: resize to a fixed size."
    )
