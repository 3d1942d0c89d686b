"""Look at what layers return before the long work: one image through the network."""

from __future__ import annotations

from collections.abc import Sequence

from linexp.forward.batches import open_source
from linexp.forward.hooks import evaluating
from linexp.forward.layers import find_layers
from linexp.forward.loop import Recording
from linexp.forward.record import on_device
from linexp.forward.units import Unit
from linexp.images import Images, ImageSubset
from linexp.models import VisionModel


def look_at_layers(model: VisionModel, layers: Sequence[str], images: Images, units: Unit) -> dict[str, str | None]:
    """Run the model on the first image, and name the tensor of each layer's output that will be taken of several.

    Raises ``ValueError`` for whatever layer ``record_layers`` would refuse. ``None``: there is no other tensor.
    """
    source = open_source(ImageSubset(images, [0]), model, None, 1, 0)
    run = Recording(find_layers(model.module, layers), units, source)
    with on_device(model.module, None) as place, evaluating(model.module):
        run.look(model.module, place)
    return run.taken
