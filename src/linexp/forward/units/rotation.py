"""A random rotation of whatever width a layer has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit, activations_of
from linexp.forward.units.channels import ChannelAxis
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.directions import Directions


@dataclass(frozen=True)
class Rotation(Unit):
    """As many random orthogonal directions as a layer has channels: ``Directions.random`` of that width.

    Parameters
    ----------
    seed
        Of the rotation.
    pool, channels, token, output
        As in ``record``.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Rotation(seed=1).read(torch.eye(3), "layer", 3).square().sum(1)
    tensor([1.0000, 1.0000, 1.0000])
    """

    seed: int = 0
    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        check_at_least("seed", self.seed, 0)
        choose_units(None, self.pool, self.channels, self.token, self.output)  # checks them

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return the pooled units; see ``Unit.read``."""
        return self._of(activations_of(output, self.output, layer, n_images)).read(output, layer, n_images)

    def grid(self, output: Any, layer: str, n_images: int) -> tuple[int, int] | None:
        """Return the cells downwards and across; see ``Unit.grid``."""
        return choose_units(None, self.pool, self.channels, self.token, self.output).grid(output, layer, n_images)

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Make all positions read the value; see ``Directions``."""
        self._of(output).set(output, unit, values)

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Make all positions read that much more; see ``Directions``."""
        self._of(output).shift(output, unit, amounts)

    def remove(self, output: Float[Tensor, "images ..."], unit: int) -> None:
        """Take the direction out of all positions; see ``Directions``."""
        self._of(output).remove(output, unit)

    def active(self, output: Float[Tensor, "images ..."]) -> Bool[Tensor, "images units"]:
        """Say in which images a direction is not 0 at all positions."""
        return self._of(output).active(output)

    def axis(self, n_axes: int) -> int:
        """Return which axis of the output is the channels, as ``channels`` says."""
        return n_axes - 1 if self.channels == "last" else super().axis(n_axes)

    @property
    def is_regional(self) -> bool:
        """Whether pool is a grid."""
        return choose_units(None, self.pool, self.channels, self.token, self.output).is_regional

    @property
    def has_pattern(self) -> bool:
        """A token is one position."""
        return self.pool != "token"

    def _of(self, tensor: Tensor) -> Directions:
        return _directions(self, tensor.shape[self.axis(tensor.ndim)] if tensor.ndim > 1 else 1)


@lru_cache(4)
def _directions(rotation: Rotation, width: int) -> Directions:
    settings: dict[str, Any] = {"pool": rotation.pool, "channels": rotation.channels, "output": rotation.output}
    return Directions.random(width, seed=rotation.seed, token=rotation.token, **settings)
