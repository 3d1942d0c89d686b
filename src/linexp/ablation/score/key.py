"""What ablation scores depend on: the key under which a store keeps those of finished blocks of neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from linexp.ablation.score.model import Cut
from linexp.matrix import ActivationMatrix
from linexp.models import VisionModel
from linexp.store import Key, content_of, model_of, surroundings, weights_of


def ablation_key(
    settings: Mapping[str, Any],
    simulated: ActivationMatrix,
    recorded: ActivationMatrix,
    model: nn.Module | VisionModel,
    cut: Cut,
    columns: Sequence[str],
    neurons_per_block: int,
) -> Key:
    """Return the key of the scores of all simulated neurons; reads every weight and every image scored on.

    Raises
    ------
    UnknownContentError
        The model or the preprocessing holds something whose content cannot be known.
    """
    is_named = isinstance(model, VisionModel)
    module = model.module if is_named else model
    rows = torch.cat(cut.rows)
    source = cut.inputs.of(rows)
    parts = {
        "settings": dict(settings),
        "columns": list(columns),
        "model": model_of(module),
        "layer": recorded.layer,
        "neurons": list(simulated.neurons),
        "simulated": content_of(simulated.values[rows], "simulated"),
        "recorded": [list(recorded.neurons), content_of(recorded.values[rows], "recorded")],
        "labels": content_of(cut.classes[rows], "labels"),
        "parts": [len(part) for part in cut.rows],
        "batch_size": source.batch_size,
        "surroundings": surroundings(cut.device),
        **source.content(),
        "weights": weights_of(module),
    }
    about = {"model": model.name if is_named else type(module).__qualname__, "of": [recorded.layer]}
    return Key("ablation", parts, simulated.n_neurons, neurons_per_block, about)
