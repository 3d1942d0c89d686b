"""What the work of a network depends on: the keys under which a store keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from linexp.forward.batches import Source
from linexp.forward.engines import Engine
from linexp.forward.units import Unit
from linexp.models import VisionModel
from linexp.store import Key, model_of, rows_per_shard, surroundings, weights_of


def network_key(
    kind: str,
    model: nn.Module | VisionModel,
    own: Mapping[str, Any],
    of: Sequence[str],
    content: Callable[[], Mapping[str, Any]],
    n_rows: int,
    batch_size: int,
    device: torch.device,
    *,
    shard_rows: int | None = None,
    name: str | None = None,
) -> Key:
    """Return the key of anything a network does with inputs; reads every weight and every input.

    Parameters
    ----------
    kind, n_rows, shard_rows
        As in ``Key``; a shard has about 128 rows if nothing else is said.
    batch_size
        How many inputs at a time, which may move the last bits.
    own
        What else this kind of work depends on.
    of, name
        What a list of the store says it is of, and the model's name there if it has none itself.
    content
        Returns what is in the inputs and how they are made. Called late: it takes longest.

    Raises
    ------
    UnknownContentError
        The model or what makes its inputs holds something whose content cannot be known.
    """
    module, usual = (model.module, model.name) if isinstance(model, VisionModel) else (model, type(model).__qualname__)
    parts = {
        **own,
        "model": model_of(module),
        "batch_size": batch_size,
        "surroundings": surroundings(device),
        **content(),
        "weights": weights_of(module),
    }
    return Key(kind, parts, n_rows, shard_rows or rows_per_shard(batch_size), {"model": name or usual, "of": list(of)})


def activations_key(
    model: nn.Module | VisionModel,
    layers: Sequence[str],
    units: Unit,
    source: Source,
    device: torch.device,
    engine: Engine,
) -> Key:
    """Return the key of one recording.

    The layers belong to it together: which batch normalisations can be folded depends on what is recorded.
    """
    own, of = {"layers": sorted(layers), "units": units.key, "engine": engine.key}, sorted(layers)
    return network_key("activations", model, own, of, source.content, source.n_images, source.batch_size, device)
