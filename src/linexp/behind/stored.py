"""What one batch left behind: everything that the rest of a model needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from linexp.behind.trees import Tree


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
    """

    inputs: Any
    before: list[Tree]
    output: Tree
    logits: Float[Tensor, "images classes"]

    @property
    def layer_output(self) -> Float[Tensor, "images ..."]:
        """The activations: the first tensor that the layer returned."""
        return self.output.parts[position(self.output)]

    @property
    def n_images(self) -> int:
        """Number of images in the batch."""
        return len(self.logits)


def position(output: Tree) -> int:
    """Return which part of the layer's output is the activations."""
    return next((place for place, part in enumerate(output.parts) if isinstance(part, Tensor)), 0)
