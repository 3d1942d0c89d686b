"""What recorded activations depend on: the key under which a store keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from linexp.forward.batches import Source
from linexp.forward.units import Unit
from linexp.models import VisionModel
from linexp.store import Key, model_of, rows_per_shard, surroundings, weights_of


def activations_key(
    model: nn.Module | VisionModel,
    layers: Sequence[str],
    units: Unit,
    source: Source,
    device: torch.device,
    *,
    fold: bool,
) -> Key:
    """Return the key of one recording; reads every weight and every image.

    The layers belong to it together: which batch normalisations can be folded depends on what is recorded. So does the
    batch size, which may move the last bits.

    Raises
    ------
    UnknownContentError
        The model or the preprocessing holds something whose content cannot be known.
    """
    is_named = isinstance(model, VisionModel)
    module = model.module if is_named else model
    parts = {
        "model": model_of(module),
        "layers": sorted(layers),
        "units": units.key,
        "fold": fold,
        "batch_size": source.batch_size,
        "surroundings": surroundings(device),
        **source.content(),
        "weights": weights_of(module),
    }
    about = {"model": model.name if is_named else type(module).__qualname__, "of": sorted(layers)}
    return Key("activations", parts, source.n_images, rows_per_shard(source.batch_size), about)
