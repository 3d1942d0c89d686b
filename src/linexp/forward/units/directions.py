"""Directions in a layer's space: any linear read-out of each position."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp._internal.files import write_atomically
from linexp.forward.outputs import Output
from linexp.forward.units.channels import ChannelAxis
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.positions import PerPosition, checked_matrix, over_positions
from linexp.matrix import ActivationMatrix


@dataclass(frozen=True, eq=False)
class Directions(PerPosition):
    """Each row of a matrix is a unit: what it gives is the product with the vector of each position, pooled.

    Principal components, random rotations, probes, the weights of classes, embeddings of words: all are rows.

    Parameters
    ----------
    matrix
        One direction a row [units, width]; ``model.fc.weight`` as it is. No row may be 0.
    names
        What the directions are called. Default: they have no names.
    pool, channels, token, output
        As in ``record``.

    Raises
    ------
    ValueError
        The matrix is empty, no matrix, holds NaN or infinity or a row of zeros, or there is not one name a row.

    Notes
    -----
    To set or shift a unit moves each position the shortest way, along the direction itself, so that the unit reads
    exactly what was asked for. Other units move too where their directions are not orthogonal to it.

    Examples
    --------
    >>> import linexp as le
    >>> import torch
    >>> le.Directions([[1.0, -1.0]]).read(torch.tensor([[5.0, 2.0]]), "layer", 1)
    tensor([[3.]])
    """

    matrix: Float[Tensor, "units width"] = field(repr=False)
    names: tuple[str, ...] | None = None
    pool: Pool = "mean"
    channels: ChannelAxis = "auto"
    token: int = 0
    output: Output = None

    def __post_init__(self) -> None:
        choose_units(None, self.pool, self.channels, self.token, self.output)  # checks them
        matrix = checked_matrix("The matrix of directions", self.matrix, "units")
        empty = torch.nonzero(matrix.abs().amax(1) == 0).flatten().tolist()
        if empty:
            raise ValueError(f"Direction {empty[0]} is 0 everywhere and reads nothing. Leave it out.")
        object.__setattr__(self, "matrix", matrix)
        if self.names is not None:
            object.__setattr__(self, "names", tuple(self.names))
            if len(self.names) != len(matrix):
                raise ValueError(f"There are {len(self.names)} names for {len(matrix)} directions. Give one for each.")

    @classmethod
    def random(cls, width: int, n: int | None = None, seed: int = 0, **settings: Any) -> Directions:
        """Return the first ``n`` rows of a random rotation, uniform over all rotations and reflections.

        Parameters
        ----------
        width
            Number of channels of the layer.
        n
            Number of directions. Default: as many as channels; more cannot be orthogonal.
        seed
            Of the rotation.
        settings
            Pool, channels, token, output.

        References
        ----------
        Mezzadri, How to generate random matrices from the classical compact groups, Notices of the AMS 54, 2007.
        """
        n = width if n is None else n
        check_at_least("n", n, 1)
        if n > width:
            raise ValueError(f"{n} directions of {width} channels cannot be orthogonal. Ask for at most {width}.")
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(width, width, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(drawn)
        return cls((q * r.diagonal().sign()).T[:n], **settings)  # without the signs it would not be uniform

    @classmethod
    def principal(cls, activations: ActivationMatrix | Tensor, n: int | None = None, **settings: Any) -> Directions:
        """Return the principal components of recorded vectors, the one of most variance first.

        Parameters
        ----------
        activations
            Vectors [rows, width]: all channels of a layer, of images or, better, of positions: what
            ``record(model, layer, images, pool="grid")`` gives.
        n
            How many. Default: all.
        settings
            Pool, channels, token, output.

        Notes
        -----
        Components are orthonormal; the largest number of each is positive. Nothing is centred in reading: a constant
        moves no explanation.
        """
        values = activations.values if isinstance(activations, ActivationMatrix) else torch.as_tensor(activations)
        rows = checked_matrix("The matrix of activations", values, "rows").double()
        width = rows.shape[1]
        n = width if n is None else n
        check_at_least("n", n, 1)
        if n > width:
            raise ValueError(f"There are {width} principal components of {width} channels, not {n}. Ask for fewer.")
        centred = rows - rows.mean(0)
        found = torch.linalg.eigh(centred.T @ centred)[1].T.flip(0)[:n]
        largest = found.gather(1, found.abs().argmax(1, keepdim=True))
        return cls(found * largest.sign(), **settings)

    @classmethod
    def load(cls, path: str | Path, **settings: Any) -> Directions:
        """Read a matrix [units, width] from a ``.npy`` file, or the only one of a ``.safetensors`` file.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It holds no such matrix.
        """
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no file '{path}' of directions. Pass a .npy or .safetensors file.")
        try:
            tensors = [np.load(path, allow_pickle=False)] if path.suffix == ".npy" else list(load_file(path).values())
            if len(tensors) != 1:
                raise ValueError(f"it holds {len(tensors)} tensors and not one")
            return cls(tensors[0], **settings)
        except (ValueError, EOFError, SafetensorError) as error:
            raise ValueError(f"'{path}' holds no directions ({error}). Save one matrix [units, width].") from error

    def save(self, path: str | Path) -> None:
        """Write the matrix to a safetensors file, which ``load`` reads."""
        write_atomically(Path(path), save({"directions": self.matrix.contiguous()}))

    @property
    def width(self) -> int:
        """Number of channels that a layer must have."""
        return self.matrix.shape[1]

    @property
    def n_units(self) -> int:
        """Number of directions."""
        return len(self.matrix)

    def read(self, output: Any, layer: str, n_images: int) -> Float[Tensor, "images units"]:
        """Return the pooled units; see ``Unit.read``."""
        if self.pool == "max":
            return super().read(output, layer, n_images)
        self._vectors(output, layer, n_images)  # checks the width
        # The mean of products is the product of the mean: less work, and with the identity Channels' very bits.
        pooled = choose_units(None, self.pool, self.channels, self.token, self.output).read(output, layer, n_images)
        return self.encode(pooled.unflatten(1, (-1, self.width))).flatten(1)

    def encode(self, vectors: Float[Tensor, "... width"]) -> Float[Tensor, "... units"]:
        """Return the products of each vector with all directions."""
        return vectors @ self.matrix.to(vectors).T

    def set(self, output: Float[Tensor, "images ..."], unit: int, values: Float[Tensor, " images"]) -> None:
        """Make all positions read the value; see ``Unit.set``."""
        places = self._places(output)
        direction = self.matrix[unit].to(output)
        self._move(places, unit, over_positions(values, places) - places @ direction)

    def shift(self, output: Float[Tensor, "images ..."], unit: int, amounts: Float[Tensor, " images"]) -> None:
        """Make all positions read that much more; see ``Unit.shift``."""
        places = self._places(output)
        self._move(places, unit, over_positions(amounts, places).expand(places.shape[:-1]))

    def remove(self, output: Float[Tensor, "images ..."], unit: int) -> None:
        """Take the direction out of all positions; of all tokens, as ``Token`` does."""
        places = output.movedim(self.axis(output.ndim), -1)
        self._move(places, unit, -(places @ self.matrix[unit].to(output)))

    def _move(self, places: Tensor, unit: int, amounts: Tensor) -> None:
        direction = self.matrix[unit].double()
        along = (direction / direction.square().sum()).to(places)
        places.add_(amounts[..., None] * along)
