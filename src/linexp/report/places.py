"""Where a neuron fires, as a page gets it: maps of cells in 8 bits, and masks of concepts in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from linexp.explanations import Explanation, mask_of
from linexp.matrix import PixelConceptMatrix, Regions
from linexp.report.packing import as_base64, quantise, short
from linexp.results import Result

if TYPE_CHECKING:
    from linexp.report.layers import LayerView

# Pictures of a card's first row; terms whose masks it shows; pixels across and down of these.
_N_TOP, _N_TERMS, _SIDE = 3, 3, 56
# Network Dissection's, where the method has no quantile of its own.
_QUANTILE = 0.995


def top_images(
    values: Float[np.ndarray, "rows neurons"], regions: Regions | None, images: Int[np.ndarray, " images"]
) -> Int[np.ndarray, "neurons top"]:
    """Return for each neuron the images with its highest cells, highest first; none where rows are images."""
    if regions is None:
        return np.zeros((values.shape[1], 0), np.int64)
    highest = values.reshape(regions.n_images, regions.n_cells, -1).max(1)[images]
    return images[np.argsort(-highest, axis=0, kind="stable")[:_N_TOP].T]


def pack_places(finding: Result, view: LayerView, number: Int[np.ndarray, " images"], bits: int) -> dict[str, Any]:
    """Return the maps of a layer's neurons on every picture that is shown; nothing where rows are images."""
    regions = view.regions
    if regions is None:
        return {}
    low, high = view.activations.min(0).astype(np.float64), view.activations.max(0).astype(np.float64)
    quantile = _quantile(finding)
    train = finding.split.train.numpy()
    chosen = np.maximum(view.chosen, 0).reshape(len(view.neurons), -1)
    packed: dict[str, Any] = {
        "height": regions.height,
        "width": regions.width,
        "quantile": quantile,
        "cuts": _cuts(view.activations, train, quantile),
        "cells": as_base64(chosen % regions.n_cells, 16),
        "maps": quantise(_maps(view.activations, regions, chosen // regions.n_cells), low, high, 8),
        "top": as_base64(number[view.top], bits),
        "topMaps": quantise(_maps(view.activations, regions, view.top), low, high, 8),
    }
    return {"places": packed}


def pack_predicted_places(
    finding: Result,
    view: LayerView,
    predicted: Float[np.ndarray, "rows neurons"],
    items: Sequence[Explanation | None],
) -> dict[str, Any]:
    """Return what an explanation says of the first pictures: predicted maps, and the masks of its terms."""
    if view.regions is None:
        return {}
    low, high = predicted.min(0), predicted.max(0)
    packed: dict[str, Any] = {
        "cuts": _cuts(predicted, finding.split.train.numpy(), _quantile(finding)),
        "topMaps": quantise(_maps(predicted, view.regions, view.top), low, high, 8),
    }
    if isinstance(finding.concepts, PixelConceptMatrix):
        masks = [
            mask_of(finding.concepts, int(image), term.concept, _SIDE)
            for item, images in zip(items, view.top, strict=True)
            for image in images
            for term in (item.terms[:_N_TERMS] if item else ())
        ]
        bits = np.packbits(np.array(masks, bool).reshape(-1, _SIDE * _SIDE), axis=1, bitorder="little")
        packed |= {"side": _SIDE, "masks": as_base64(bits, 8)}
    return {"places": packed}


def _quantile(finding: Result) -> float:
    """Return the quantile above which the method calls a neuron active."""
    told = finding.settings.get("explainer")
    known = told.get("quantile") if isinstance(told, dict) else None
    return float(known) if isinstance(known, (int, float)) else _QUANTILE


def _cuts(
    values: Float[np.ndarray, "rows neurons"], train: Int[np.ndarray, " rows"], quantile: float
) -> list[float | int | None]:
    cuts = [np.quantile(column[train].astype(np.float64), quantile) for column in values.T]
    return [short(float(cut), 6) for cut in cuts]


def _maps(
    values: Float[np.ndarray, "rows neurons"], regions: Regions, images: Int[np.ndarray, "neurons shown"]
) -> Float[np.ndarray, "neurons cells"]:
    """Return each neuron's maps on its own pictures, one after the other."""
    maps = values.reshape(regions.n_images, regions.n_cells, -1)
    return np.stack([maps[own, :, place].reshape(-1) for place, own in enumerate(images)])
