"""Which of several results are about the same layer or the same neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from linexp._internal.checks import DifferentImagesError
from linexp.images import as_images
from linexp.results.result import Result
from linexp.results.score_files import free_name


def same_layer(first: Result, second: Result) -> bool:
    """Say whether two results are about the same neurons on the same images, split alike."""
    return (
        _identity(first) == _identity(second)
        and first.activations.n_images == second.activations.n_images
        and first.activations.images == second.activations.images
        and torch.equal(first.split.test.sort().values, second.split.test.sort().values)
    )


def by_layer(results: Sequence[Result]) -> list[list[Result]]:
    """Gather the results about one layer, methods with names of their own, layers in the order first met."""
    layers: list[list[Result]] = []
    for result in results:
        home = next((layer for layer in layers if same_layer(layer[0], result)), None)
        if home is None:
            layers.append([result])
        else:
            home.append(replace(result, method=free_name(result.method, [other.method for other in home])))
    return layers


def give_images(results: Sequence[Result], images: Any) -> list[Result]:
    """Give pictures to the results that have none and are about them.

    Raises
    ------
    DifferentImagesError
        No result is about these pictures.
    """
    collection = as_images(images)
    given: list[Result] = []
    complaint: DifferentImagesError | None = None
    for result in results:
        try:
            given.append(result if result.images is not None else replace(result, images=collection))
        except DifferentImagesError as error:
            complaint = error
            given.append(result)
    if complaint is not None and all(result.images is None for result in given):
        raise complaint
    return given


def _identity(result: Result) -> tuple[Any, ...]:
    settings = result.settings
    units = settings.get("units", "channels"), settings.get("pool"), settings.get("token")
    return result.activations.layer, settings.get("model"), *units
