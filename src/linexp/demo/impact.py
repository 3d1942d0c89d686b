"""The long part of the demo: what the network loses without each neuron, and where in its range."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from linexp.ablation.impact import BETAS, Impact, impact_layers
from linexp.images import Images
from linexp.models import load_model
from linexp.report import tell_impact

# Pictures, drawn by lot: 112 neurons of the block in the middle are removed from each.
N_IMAGES = 400


def show_impact(model: str, layers: Sequence[str], images: Images, out: Path, n_neurons: int | None) -> list[Impact]:
    """Measure the impact of the demo's neurons, print the table and write it with the curves.

    The pictures are no photographs and have no ImageNet labels: what counts is the network's own answer to each.
    """
    found = impact_layers(
        load_model(model), layers, images, labels="own", neurons=n_neurons, n_images=min(N_IMAGES, len(images))
    )
    impacts = list(found.values())
    print("\nWhat the network loses of its own answers when a neuron is removed:")
    tell_impact(impacts, BETAS, out)
    return impacts
