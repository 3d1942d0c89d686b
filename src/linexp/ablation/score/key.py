"""What ablation scores depend on: the key under which a store keeps those of finished blocks of neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from linexp.ablation.score.model import Cut
from linexp.forward import network_key
from linexp.matrix import ActivationMatrix
from linexp.models import VisionModel
from linexp.store import Key, content_of


def ablation_key(
    settings: Mapping[str, Any],
    simulated: ActivationMatrix,
    recorded: ActivationMatrix,
    model: nn.Module | VisionModel,
    cut: Cut,
    columns: Sequence[str],
    neurons_per_block: int,
) -> Key:
    """Return the key of the scores of all simulated neurons; of the images, those scored on count.

    Raises
    ------
    UnknownContentError
        The model or the preprocessing holds something whose content cannot be known.
    """
    rows = torch.cat(cut.rows)
    source = cut.inputs.of(rows)
    own = {
        "settings": dict(settings),
        "columns": list(columns),
        "layer": recorded.layer,
        "neurons": list(simulated.neurons),
        "simulated": content_of(simulated.values[rows], "simulated"),
        "recorded": [list(recorded.neurons), content_of(recorded.values[rows], "recorded")],
        "labels": content_of(cut.classes[rows], "labels"),
        "parts": [len(part) for part in cut.rows],
    }
    of, n_rows, size = [recorded.layer], simulated.n_neurons, source.batch_size
    return network_key(
        "ablation", model, own, of, source.content, n_rows, size, cut.device, shard_rows=neurons_per_block
    )
