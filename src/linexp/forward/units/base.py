"""What every kind of unit can do: read a layer's output, and have a value written in its place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from linexp.forward.outputs import Output, choose_tensor
from linexp.store import content_of

Replace = Literal["set", "shift"]


class Unit(ABC):
    """One kind of unit of a layer: a frozen dataclass that reads and writes.

    A new kind gives ``read``, ``set`` and ``shift``; the rest has a meaning that fits every kind, and is overridden
    where a kind knows better.
    """

    output: Output = None
    """Which tensor is meant where a layer returns several; ``None``: the first."""

    @property
    def is_regional(self) -> bool:
        """Whether each cell of an image gives a row, see ``grid``."""
        return False

    @abstractmethod
    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return one float32 number per image and unit, for one batch.

        Parameters
        ----------
        output
            What the layer returned, of which ``output`` says which tensor is meant; or that tensor itself.
        layer
            Name of the layer, for messages.
        n_images
            Number of images in the batch.

        Raises
        ------
        ValueError
            The output is not what these units are read from.
        """

    def grid(self, output: Any, layer: str, n_images: int) -> tuple[int, int] | None:
        """Return the cells downwards and across of which each gives a row of its own; ``None``: one row per image.

        Where there are cells, ``read`` returns those of an image side by side, each with all units.
        """
        return None

    @abstractmethod
    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Make all that belongs to one unit the value of each image, in place."""

    @abstractmethod
    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Change one unit in place so that what is read rises by the amount and its pattern stays."""

    def remove(self, output: Float[Tensor, "images ..."], unit: int) -> None:
        """Take one unit out of the output, in place."""
        self.set(output, unit, output.new_zeros(len(output)))

    def active(self, output: Float[Tensor, "images ..."]) -> Bool[Tensor, "images units"]:
        """Say in which images removing a unit may change anything; the others are not run again."""
        return torch.ones_like(self.read(output, "", len(output)), dtype=torch.bool)

    @property
    def linear(self) -> Unit | None:
        """The units that a linear head could read where it sees these: a linear function of the output, or ``None``."""
        return None

    def axis(self, n_axes: int) -> int:
        """Return which axis of the output is the channels: the last, but for maps the one behind the images."""
        return 1 if n_axes > 3 else n_axes - 1

    @property
    def has_pattern(self) -> bool:
        """Whether several numbers of the output may be read as one, so that to set it destroys their pattern."""
        return True

    @property
    def key(self) -> str:
        """What a store's key says of these units: the content of their settings and code."""
        return content_of(self, "units")

    def changed(
        self,
        output: Float[Tensor, "images ..."],
        units: Int[Tensor, " images"],
        values: Float[Tensor, " images"] | None = None,
        replace: Replace = "set",
    ) -> Float[Tensor, "images ..."]:
        """Return the layer's output with one unit of each image changed.

        Parameters
        ----------
        output
            The tensor that the layer returned.
        units
            The unit to change in each image.
        values
            What is read of it then. Default: it is removed.
        replace
            "set" or "shift".
        """
        changed = output.clone()
        if values is not None:
            values = values.to(output)
            if replace == "shift":
                values = values - self.read(output, "", len(output))[range(len(output)), units.tolist()]
        runs, lengths = units.unique_consecutive(return_counts=True)  # views: nothing more is copied
        starts = (lengths.cumsum(0) - lengths).tolist()
        for unit, start, length in zip(runs.tolist(), starts, lengths.tolist(), strict=True):
            rows = slice(start, start + length)
            if values is None:
                self.remove(changed[rows], unit)
            elif replace == "shift":
                self.shift(changed[rows], unit, values[rows])
            else:
                self.set(changed[rows], unit, values[rows])
        return changed


def activations_of(output: Any, which: Output, layer: str, n_images: int) -> Float[Tensor, "images ..."]:
    """Return the tensor that units are read from, once it has numbers and its first axis is the images."""
    tensor = output if isinstance(output, Tensor) else choose_tensor(output, which, layer)[1]
    if tensor is None or not tensor.is_floating_point():
        kind = type(output).__name__ if tensor is None else f"a tensor of {tensor.dtype}"
        raise ValueError(f"Layer '{layer}' returns {kind}, not activations. Choose a layer that returns numbers.")
    shape = list(tensor.shape)
    if tensor.ndim == 0 or shape[0] != n_images:
        raise ValueError(
            f"Layer '{layer}' returns a tensor of shape {shape} for {n_images} images; its first axis must be the "
            "images. Choose a layer whose output keeps the images apart."
        )
    if tensor.numel() == 0:
        raise ValueError(f"Layer '{layer}' returns an empty tensor of shape {shape}. Choose another layer.")
    return tensor.detach()  # some models switch gradients on


def own_copy(values: Tensor) -> Tensor:
    """Return float32 values of their own: a later in-place operation would change a view of the layer's output."""
    return values.to(torch.float32, copy=True)
