"""What one batch left behind: everything that the rest of a model needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from linexp.forward.outputs import Output, Tree, choose_tensor


@dataclass(frozen=True, eq=False)
class Stored:
    """What one batch left behind: everything that is needed to run the rest of the model on it.

    Parameters
    ----------
    inputs
        The batch, or its shape alone if the rest of the model does not look at it.
    before
        What the modules before the layer returned, in the order of their calls.
    output
        What the layer returned.
    logits
        What the model returned [images, classes].
    place
        Which part of ``output`` is the activations.
    """

    inputs: Any
    before: list[Tree]
    output: Tree
    logits: Float[Tensor, "images classes"]
    place: int = 0

    @property
    def layer_output(self) -> Float[Tensor, "images ..."]:
        """The activations: the tensor that is meant of those the layer returned."""
        return self.output.parts[self.place]

    @property
    def n_images(self) -> int:
        """Number of images in the batch."""
        return len(self.logits)


def position(output: Tree, which: Output, layer: str) -> int:
    """Return which part of the layer's output is the activations."""
    meant = choose_tensor(output.together(output.parts), which, layer)[1]
    return next((place for place, part in enumerate(output.parts) if part is meant), 0)
