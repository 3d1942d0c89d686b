"""Where one neuron fires in one picture, and where its explanation says it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_same_images, check_within
from linexp.explanations.formula import Concept, Formula, names_in
from linexp.explanations.layer import Explanations
from linexp.explanations.simulate import simulate
from linexp.figures import Panel, draw_maps, look_through
from linexp.images import as_images
from linexp.matrix import ActivationMatrix, ConceptMatrix, PixelConceptMatrix, Regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linexp.explanations.explanation import Explanation

_SIDE, _N_MASKS = 224, 3


def plot_map(
    explanation: Explanation,
    recorded: ActivationMatrix,
    images: Any,
    image: int | None = None,
    *,
    concepts: ConceptMatrix | None = None,
    rows: Sequence[int] | Tensor | None = None,
    quantile: float = 0.995,
    axes: Any = None,
) -> Any:
    """Draw where a neuron fires in a picture, as the network sees it: heat, and a line around the highest places.

    Parameters
    ----------
    explanation
        Which neuron.
    recorded
        Regions of the images, from ``record(pool="grid")``.
    images
        The pictures, whatever ``record`` takes.
    image
        Which of them. Default: the one with the highest region.
    concepts
        The same regions' concepts: then what the explanation predicts stands beside it, on a scale of its own, and the
        masks of its first three terms, where the concepts have masks.
    rows
        The regions from which the line's height is taken: those of train. Default: all.
    quantile
        The line goes around what is above this quantile of the neuron's values, or of those predicted.
    axes
        Matplotlib axes. Default: new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn into.

    Raises
    ------
    ValueError
        The rows are no regions, or there is no such image.
    DifferentImagesError
        Images, activations and concepts are not of the same images.
    """
    check_within("quantile", quantile, 0, 1)
    regions, pictures = recorded.regions, as_images(images)
    if regions is None:
        raise ValueError("The activations are one number per image. Record regions: record(…, pool='grid').")
    check_same_images(pictures.fingerprint if regions.images else None, regions.images, len(pictures), regions.n_images)
    values = recorded.select([explanation.neuron]).values[:, 0].double()
    row = int(values.argmax()) // regions.n_cells if image is None else image
    if not 0 <= row < regions.n_images:
        raise ValueError(f"There is no image {row}. Choose among 0 to {regions.n_images - 1}.")
    kept = slice(None) if rows is None else torch.as_tensor(rows)
    panels = [_panel("neuron", values, regions, row, float(values[kept].quantile(quantile)))]
    if concepts is not None:
        check_same_images(recorded.images, concepts.images, recorded.n_images, concepts.n_images)
        said = simulate(Explanations((explanation,)), concepts).values[:, 0].double()
        panels.append(_panel("predicted", said, regions, row, float(said[kept].quantile(quantile))))
    if isinstance(concepts, PixelConceptMatrix) and explanation.terms:
        first = explanation.concepts[:_N_MASKS]
        panels.append(Panel("", masks={str(one): mask_of(concepts, row, one, _SIDE) for one in first}))
    window = (0.0, 0.0, 1.0, 1.0) if regions.windows is None else regions.windows[row].tolist()
    title = f"neuron {explanation.neuron}" + (f" of {recorded.layer}" if recorded.layer else "")
    return draw_maps(np.asarray(look_through(pictures[row], window, _SIDE)), panels, title, axes)


def mask_of(concepts: PixelConceptMatrix, image: int, concept: Concept, side: int) -> Bool[np.ndarray, "side side"]:
    """Return which of side × side pixels over what the network sees of a picture show a concept, or hold a formula."""
    middles = ((np.arange(side) + 0.5) * concepts.maps.shape[-1] / side).astype(np.int64)
    shown = concepts.maps[image][:, middles][:, :, middles]
    of = {name: (shown == concepts.names.index(name)).any(0) for name in names_in(concept)}
    if not isinstance(concept, Formula):
        return of[concept]
    return concept.evaluate({name: torch.from_numpy(mask).float() for name, mask in of.items()}).numpy() > 0.5


def _panel(title: str, values: Float[Tensor, " rows"], regions: Regions, image: int, cut: float) -> Panel:
    own = values.reshape(regions.n_images, 1, 1, regions.height, regions.width)[image]
    large = torch.nn.functional.interpolate(own, (_SIDE, _SIDE), mode="bilinear", align_corners=False)[0, 0]
    return Panel(title, large.numpy(), cut)
