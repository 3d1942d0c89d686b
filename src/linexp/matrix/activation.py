"""What neurons did: one number per image, or region of one, and neuron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linexp._internal.checks import check_same_images, listing
from linexp.images import Images, ImageSubset, fingerprint_of_rows
from linexp.matrix.base import Rows, as_matrix, check_names, fill, is_table, take
from linexp.matrix.regions import Regions

# A neuron that gets so active on no recorded image is dead (Appendix C.2 of the paper); nothing else is called so.
DEAD_BELOW = 0.01


@dataclass(frozen=True, eq=False, init=False)
class ActivationMatrix:
    """What each neuron of one layer did on each image: one number per image and neuron.

    Parameters
    ----------
    values
        Activations [images, neurons], finite: a tensor, an array, or a table (pandas). Kept in float64 if given so, in
        float32 otherwise.
    neurons
        Identifiers of the columns, whole numbers without repeats. Default: a table's own columns; else 0, 1, 2, …
    layer
        Name of the layer the neurons belong to, as in ``model.named_modules()``.
    images
        Fingerprint of the images, so that matrices of different images are never combined. ``None``: not known. Of
        regions, their own: what identifies images and grid.
    regions
        Which regions the rows are, where they are no whole images; see ``record(pool="grid")``.

    Raises
    ------
    ValueError
        The values are not a matrix, are empty, or contain NaN or infinity (the message names neuron and image); the
        columns of a table are no whole numbers; there are not as many rows as regions.
    TypeError
        The values are no numbers.
    """

    values: Float[Tensor, "images neurons"]
    neurons: tuple[int, ...] = ()
    layer: str = ""
    images: str | None = None
    regions: Regions | None = None

    def __init__(
        self,
        values: Any,
        neurons: Sequence[int] | None = None,
        layer: str = "",
        images: str | None = None,
        *,
        regions: Regions | None = None,
    ) -> None:
        tensor = as_matrix(values, "neurons")
        if regions is not None:
            _check_regions(regions, tensor.shape[0], images)
            images = regions.fingerprint
        names = _own_neurons(values, tensor.shape[1]) if neurons is None else tuple(int(neuron) for neuron in neurons)
        check_names(names, tensor.shape[1], "neurons")
        check_finite_activations(tensor, names, layer)
        fill(self, values=tensor, neurons=names, layer=layer, images=images, regions=regions)

    @property
    def n_images(self) -> int:
        """Number of rows."""
        return self.values.shape[0]

    @property
    def n_neurons(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    @property
    def is_dead(self) -> Bool[Tensor, " neurons"]:
        """Whether each neuron is dead: its largest activation on any image is below 0.01 (Appendix C.2 of the paper).

        The threshold is meant for neurons behind a ReLU: one that is always negative counts as dead, however much it
        varies. Ask the matrix of all recorded images: on a part of them more neurons look dead.
        """
        return self.values.amax(0) < DEAD_BELOW

    def block(self, rows: Rows) -> Float[Tensor, "rows neurons"]:
        """Return the activations of some images, in the order asked for."""
        return take(self.values, rows)

    def take(self, rows: Rows, images: Images | None = None) -> ActivationMatrix:
        """Return the matrix of some images, in the order asked for, with a fingerprint of just these.

        Parameters
        ----------
        rows
            Which images; at least one.
        images
            The collection behind the rows of this matrix. The fingerprint is then that of
            ``ImageSubset(images, rows)``: of pictures in files it comes from their bytes, which this matrix does not
            know. Default: it is made from the fingerprint of all images and the rows, as that of a subset of any other
            collection is.

        Raises
        ------
        ValueError
            There is no row.
        DifferentImagesError
            ``images`` are not those of this matrix.

        Examples
        --------
        >>> ActivationMatrix([[1.0, 2.0], [3.0, 4.0]]).take([1]).values
        tensor([[3., 4.]], dtype=torch.float64)
        """
        places = take(torch.arange(self.n_images), rows).tolist()
        values = self.values[places] if places else self.values[:0]  # the matrix without rows is refused below
        found = self.images
        if images is not None:
            known = None if found is None else images.fingerprint
            check_same_images(known, found, len(images), self.n_images)
            found = ImageSubset(images, places).fingerprint if places else found
        elif found is not None:
            found = fingerprint_of_rows(found, places, self.n_images)
        return ActivationMatrix(values, self.neurons, self.layer, found)

    def select(self, neurons: Sequence[int]) -> ActivationMatrix:
        """Return the matrix of some neurons, named by their identifiers, in the order asked for.

        Raises
        ------
        ValueError
            A neuron is not in this matrix.
        """
        place = {neuron: column for column, neuron in enumerate(self.neurons)}
        missing = [neuron for neuron in neurons if neuron not in place]
        if missing:
            raise ValueError(
                f"Neuron {missing[0]} is not among the {self.n_neurons} neurons of layer '{self.layer}' "
                f"({listing(self.neurons, 6)}). Choose among these."
            )
        columns = [place[neuron] for neuron in neurons]
        return ActivationMatrix(self.values[:, columns], list(neurons), self.layer, self.images, regions=self.regions)


def _check_regions(regions: Regions, n_rows: int, images: str | None) -> None:
    if regions.n_rows != n_rows:
        raise ValueError(
            f"There are {n_rows} rows for {regions.n_images} images of {regions.height} x {regions.width} cells, which "
            f"are {regions.n_rows}. Give one row for each cell, image by image."
        )
    if images not in (None, regions.fingerprint):
        raise ValueError("images and regions both say which rows these are, and differ. Give regions alone.")


def _own_neurons(values: Any, n_columns: int) -> tuple[int, ...]:
    if not is_table(values):
        return tuple(range(n_columns))
    for name in values.columns:
        if not isinstance(name, Integral):
            raise ValueError(
                f"The table has a column {name!r}, and neurons are called by whole numbers. "
                "Give neurons=, one number for each column, such as range(table.shape[1])."
            )
    return tuple(int(name) for name in values.columns)


def check_finite_activations(
    values: Float[Tensor, "images neurons"],
    neurons: Sequence[int],
    layer: str,
    image_name: Callable[[int], str] = "image {}".format,
) -> None:
    """Raise ``ValueError`` naming the first neuron and image whose activation is NaN or infinite."""
    finite = torch.isfinite(values)
    if bool(finite.all()):
        return
    row, column = (int(index) for index in torch.nonzero(~finite)[0])
    where = f" of layer '{layer}'" if layer else ""
    raise ValueError(
        f"Neuron {neurons[column]}{where} is {values[row, column].item()} on {image_name(row)} "
        f"({int((~finite).sum())} such values in all). Look at that image and at the model's number format "
        "(float16 overflows at 65,504), or leave the neuron out."
    )
