"""Look at what layers return before the long work: one image through the network."""

from __future__ import annotations

from collections.abc import Sequence

from linexp.forward.batches import open_source
from linexp.forward.hooks import evaluating
from linexp.forward.layers import find_layers
from linexp.forward.loop import Recording
from linexp.forward.record import on_device
from linexp.forward.units import Unit
from linexp.forward.windows import find_windows
from linexp.images import Images, ImageSubset
from linexp.matrix import Regions
from linexp.models import VisionModel


def look_at_layers(model: VisionModel, layers: Sequence[str], images: Images, units: Unit) -> dict[str, str | None]:
    """Run the model on the first image, and name the tensor of each layer's output that will be taken of several.

    Raises ``ValueError`` for whatever layer ``record_layers`` would refuse. ``None``: there is no other tensor.
    """
    return _look(model, layers, images, units).taken


def find_regions(model: VisionModel, layers: Sequence[str], images: Images, units: Unit) -> dict[str, Regions]:
    """Run the model on the first image, and return the regions of all images that recording each layer will give.

    Raises
    ------
    ValueError
        A layer has no such regions, or the preprocessing does more than resizing, cropping, padding and mirroring.
    """
    grids, windows = _look(model, layers, images, units).grids, find_windows(images, model, None)
    return {
        layer: Regions(len(images), *grid, images.fingerprint, windows)
        for layer, grid in grids.items()
        if grid is not None
    }


def _look(model: VisionModel, layers: Sequence[str], images: Images, units: Unit) -> Recording:
    source = open_source(ImageSubset(images, [0]), model, None, 1, 0)
    run = Recording(find_layers(model.module, layers), units, source)
    with on_device(model.module, None) as place, evaluating(model.module):
        run.look(model.module, place)
    return run
