"""Units that are made of each position's vector, before positions are pooled."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp.forward.units.base import Unit, activations_of
from linexp.forward.units.channels import ChannelAxis, Channels, check_channels
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.grid import Grid
from linexp.forward.units.token import Token

# How many numbers are made at a time, 256 MB: 65,536 latents of a ViT-B/16's 197 tokens take 52 MB an image.
_MOST_NUMBERS = 1 << 26


class PerPosition(Unit):
    """Units whose numbers are made of the vector of each position or token, and pooled then as channels are.

    A kind is a frozen dataclass with the fields below. It gives ``width`` and ``encode``; what ``set`` and ``shift``
    mean for it, it says itself.
    """

    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of channels that a layer must have."""

    @property
    @abstractmethod
    def n_units(self) -> int:
        """Number of units."""

    @abstractmethod
    def encode(self, vectors: Float[Tensor, "... width"]) -> Float[Tensor, "... units"]:
        """Return the units' numbers of each vector of float32 numbers."""

    @property
    def is_regional(self) -> bool:
        """Whether pool is a grid."""
        return self._pooling.is_regional

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return the pooled units; see ``Unit.read``."""
        vectors = self._vectors(output, layer, n_images)
        pooling = self._pooling
        if isinstance(pooling, Token) and vectors.ndim == 3:
            Token(self.token).read(vectors, layer, n_images)  # refuses what has no such token
            return self.encode(vectors[:, self.token])
        n_at_a_time = max(1, _MOST_NUMBERS // max(1, vectors[0, ..., 0].numel() * self.n_units))
        return torch.cat([self._pooled(some, layer) for some in vectors.split(n_at_a_time)])

    def grid(self, output: Any, layer: str, n_images: int) -> tuple[int, int] | None:
        """Return the cells downwards and across; see ``Unit.grid``."""
        vectors = self._vectors(output, layer, n_images)
        # Cells are those of the layer's own channels, of which one is enough.
        return self._pooling.grid(vectors[..., :1].movedim(-1, _axis(vectors.ndim)), layer, n_images)

    def active(self, output: Float[Tensor, "images ..."]) -> Bool[Tensor, "images units"]:
        """Say in which images a unit is not 0 at all positions."""
        vectors = self._vectors(output, "", len(output))
        found = [(self.encode(one) != 0).reshape(-1, self.n_units).any(0) for one in vectors]
        return torch.stack(found)

    def axis(self, n_axes: int) -> int:
        """Return which axis of the output is the channels, as ``channels`` says."""
        return n_axes - 1 if self.channels == "last" else super().axis(n_axes)

    @property
    def has_pattern(self) -> bool:
        """A token is one position."""
        return self.pool != "token"

    @property
    def _pooling(self) -> Channels | Grid | Token:
        """How units are pooled once they stand where channels stand in ``Channels('first')``."""
        found = choose_units(None, self.pool, "auto" if self.pool == "token" else "first", self.token)
        assert isinstance(found, (Channels, Grid, Token))
        return found

    def _pooled(self, vectors: Tensor, layer: str) -> Tensor:
        made = self.encode(vectors)
        return self._pooling.read(made.movedim(-1, _axis(made.ndim)), layer, len(made))

    def _vectors(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images ... width"]:
        """Return the vectors of all positions in float32, checked."""
        tensor = activations_of(output, self.output, layer, n_images)
        shape = list(tensor.shape)
        if tensor.ndim < 2:
            raise ValueError(
                f"Layer '{layer}' returns {shape}, which has no channel axis, and {type(self).__name__} reads vectors "
                f"of {self.width} numbers. Choose a layer that returns [images, {self.width}, ...]."
            )
        if tensor.ndim > 2 and self.pool == "none":
            self._pooling.read(tensor, layer, n_images)  # refuses it as Channels does
        check_channels(self.channels, shape, layer)
        vectors = tensor.movedim(self.axis(tensor.ndim), -1)
        if vectors.shape[-1] != self.width:
            raise ValueError(
                f"Layer '{layer}' returns {shape}: vectors of {vectors.shape[-1]} numbers, and these units "
                f"({type(self).__name__}) read vectors of {self.width}. Choose the layer that they were made for, or "
                "say where its channels are (channels='last')."
            )
        return vectors.to(torch.float32)

    def _places(self, output: Tensor) -> Float[Tensor, "images ... width"]:
        """Return a view of all vectors that belong to a unit, with the channels last."""
        if self.is_regional:
            raise ValueError("A single cell's value cannot be set. Use pool 'mean' for ablation and impact.")
        if self.pool == "token":
            return output[:, self.token]
        return output.movedim(self.axis(output.ndim), -1)


def over_positions(values: Float[Tensor, " images"], places: Tensor) -> Tensor:
    """Return one number per image in the shape of its positions."""
    return values.reshape(-1, *[1] * (places.ndim - 2))


def checked_matrix(name: str, values: Any, rows: str) -> Float[Tensor, "rows width"]:
    """Return a float32 matrix of finite numbers of one's own, or say what is wrong with it."""
    tensor = torch.as_tensor(values).detach().to("cpu", torch.float32, copy=True)
    if tensor.ndim != 2 or tensor.numel() == 0:
        raise ValueError(f"{name} has the shape {list(tensor.shape)}. Give a matrix [{rows}, width].")
    if not bool(torch.isfinite(tensor).all()):
        row = int(torch.nonzero(~torch.isfinite(tensor))[0, 0])
        raise ValueError(
            f"{name} holds NaN or infinity, first in row {row}. Give finite numbers, or leave that row out."
        )
    return tensor


def _axis(n_axes: int) -> int:
    """Return where units stand for the pooling: behind the images in maps, last in tokens and scalars."""
    return 1 if n_axes > 3 else n_axes - 1
