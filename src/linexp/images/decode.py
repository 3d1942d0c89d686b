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
from linexp.store import Parts, whole

Transform: TypeAlias = Callable[[Image.Image], Tensor]
_Outcome: TypeAlias = Tensor | Exception
_Form: TypeAlias = tuple[torch.Size, torch.dtype]


def decoded_batches(
    images: Images,
    transform: Transform,
    *,
    batch_size: int,
    workers: int | None = None,
    parts: Parts | None = None,
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
    parts
        The rows, each part in batches of its own; the next is asked for when a process has time for it. Default: all.

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
    return _batches(images, transform, batch_size, workers, whole(len(images)) if parts is None else parts)


def _batches(
    images: Images, transform: Transform, batch_size: int, workers: int | None, parts: Parts
) -> Generator[Tensor, None, None]:
    work = partial(_outcome, images, transform)
    outcomes = work_through(parts.batches(batch_size), parts.n_rows, work, _stack, workers=workers)
    first: tuple[int, _Form] | None = None
    try:
        for rows, batch in zip(parts.batches(batch_size), outcomes, strict=True):
            if first is None:
                forms = ((row, _form(item)) for row, item in zip(rows, batch, strict=True) if isinstance(item, Tensor))
                first = next(forms, None)
            if isinstance(batch, list):
                _raise_first(images, batch, rows, first)
            else:
                _check_form(images, _form(batch[0]), rows[0], first)
                yield batch
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


def _raise_first(images: Images, outcomes: list[_Outcome], rows: range, first: tuple[int, _Form] | None) -> None:
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, Exception):
            raise outcome
        _check_form(images, _form(outcome), row, first)


def _check_form(images: Images, form: _Form, row: int, first: tuple[int, _Form] | None) -> None:
    if first is None or form == first[1]:
        return
    found, wanted = ((list(shape) if form[0] != first[1][0] else dtype) for shape, dtype in (form, first[1]))
    raise ValueError(
        f"The transform gives {found} for the image '{images.name(row)}' but {wanted} for '{images.name(first[0])}'. "
        "It must give the same shape and type for every image: resize to a fixed size."
    )
