"""A channel in each cell of a grid: not one number per image but one per position."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linexp._internal.checks import check_at_least
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit, activations_of, own_copy
from linexp.forward.units.channels import ChannelAxis, check_channels


@dataclass(frozen=True)
class Grid(Unit):
    """Each channel of a feature map, or each feature of patch tokens, is a unit; each position gives a row of its own.

    Parameters
    ----------
    size
        Cells downwards and across; maps of other sizes are brought to it by the mean over the positions of a cell.
        ``None``: the map's own positions.
    channels
        As in ``Channels``.
    output
        As in ``Channels``.
    skip
        Tokens before the patches (class token, registers), which belong to no position. Default: one if the others
        make a square, else none.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Grid(1).cells(torch.tensor([[[[1.0, 5.0], [1.0, 5.0]]]]), "layer", 1)
    tensor([[[[3.]]]])
    """

    size: int | tuple[int, int] | None = None
    channels: ChannelAxis = "auto"
    output: Output = None
    skip: int | None = None

    def __post_init__(self) -> None:
        for side in self._asked or ():
            check_at_least("size", side, 1)
        check_at_least("skip", self.skip or 0, 0)

    @property
    def is_regional(self) -> bool:
        """Each cell gives a row."""
        return True

    def cells(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images height width units"]:
        """Return one float32 number per image, cell and unit.

        Raises
        ------
        ValueError
            The layer has no positions; its tokens are no square; or a cell would have no positions of its own alone.
        """
        maps = self._maps(activations_of(output, self.output, layer, n_images), layer)
        if self._asked is not None and tuple(maps.shape[2:]) != self._asked:
            height, width = maps.shape[2:]
            if height < self._asked[0] or width < self._asked[1]:
                raise ValueError(
                    f"Layer '{layer}' has {height} x {width} positions, fewer than a grid of "
                    f"{self._asked[0]} x {self._asked[1]} cells. Use a grid of fewer cells, or a layer with "
                    "more positions."
                )
            if height % self._asked[0] or width % self._asked[1]:
                raise ValueError(
                    f"Layer '{layer}' has {height} x {width} positions, which a grid of "
                    f"{self._asked[0]} x {self._asked[1]} cells does not divide: some would lie in two cells. "
                    "Use a grid that does."
                )
            exact = torch.promote_types(maps.dtype, torch.float32)  # as in Channels
            maps = nn.functional.adaptive_avg_pool2d(maps.to(exact), self._asked)
        return own_copy(maps.permute(0, 2, 3, 1).contiguous())

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images cells_units"]:
        """Return what all cells of an image give as one row, cell by cell; see ``Unit.read``."""
        return self.cells(output, layer, n_images).flatten(1)

    def grid(self, output: Any, layer: str, n_images: int) -> tuple[int, int]:
        """Return the cells downwards and across; see ``Unit.grid``."""
        height, width = self.cells(output, layer, n_images).shape[1:3]
        return height, width

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Refuse: what is put in the place of one position of many has no meaning here yet."""
        del output, unit, values
        raise ValueError("A single cell's value cannot be set. Use pool 'mean' for ablation and impact.")

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Refuse, as ``set`` does."""
        self.set(output, unit, amounts)

    @property
    def _asked(self) -> tuple[int, int] | None:
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def _maps(self, tensor: Tensor, layer: str) -> Float[Tensor, "images units height width"]:
        shape = list(tensor.shape)
        if tensor.ndim == 3:
            return self._patches(tensor, layer)
        if tensor.ndim != 4:
            raise ValueError(
                f"Layer '{layer}' returns {shape}, which has no positions. Choose a layer with a feature map "
                "[images, channels, height, width] or tokens [images, tokens, features]."
            )
        check_channels(self.channels, shape, layer)
        return tensor.permute(0, 3, 1, 2) if self.channels == "last" else tensor

    def _patches(self, tensor: Tensor, layer: str) -> Float[Tensor, "images units side side"]:
        """Return the patch tokens in their square; the class token and registers stand before them."""
        n_tokens = tensor.shape[1]
        sides = {skip: isqrt(n_tokens - skip) for skip in ((0, 1) if self.skip is None else (self.skip,))}
        found = [(skip, side) for skip, side in sides.items() if side > 0 and side * side == n_tokens - skip]
        if not found:
            raise ValueError(
                f"Layer '{layer}' returns {list(tensor.shape)}: {n_tokens} tokens, which are no square of patches "
                f"behind {'at most one other token' if self.skip is None else f'{self.skip} others'}. Say how many "
                "stand before the patches: Grid(skip=5) for a class token and four registers."
            )
        skip, side = found[0]
        return tensor[:, skip:].transpose(1, 2).unflatten(2, (side, side))
