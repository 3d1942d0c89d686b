"""A sheet of pictures: the best-explained neurons, each with its explanation and with images it answers to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from linexp._internal.checks import check_same_images, check_within
from linexp._internal.files import check_writable_folder
from linexp._internal.numbers import format_number
from linexp.explanations import Explanations, line_of, qualities_of, rank
from linexp.images import ImageSubset, as_images
from linexp.matrix import ActivationMatrix
from linexp.report.sheet_layout import RANGES, Panel, draw_sheet
from linexp.score import Scores


def draw_picture_sheet(
    explanations: Explanations,
    recorded: ActivationMatrix,
    images: Any,
    scores: Scores,
    path: Path | str,
    *,
    rows: Sequence[int] | Int[Tensor, " rows"] | None = None,
    n_neurons: int = 10,
    seed: int = 0,
) -> Path:
    """Draw the best-explained neurons, one below the other, and return the PNG file.

    Of each there are the explanation with its score, how the activations are distributed (number
    of images on a logarithmic scale), and ten images: the four of highest activation, then three from the middle
    third and three from the lowest third of the range between the lowest and the highest activation, both drawn by
    lot. Each has its activation below it. Images that are not square are cropped at the centre.

    Parameters
    ----------
    explanations
        Explanations of at least the neurons drawn.
    recorded
        Activations of at least the neurons drawn.
    images
        The images behind the rows of ``recorded``: whatever ``record`` takes.
    scores
        One score per neuron, higher being better, of images that nobody chose by; the neurons with the highest score
        less its standard error are drawn (behind them those without an error), none that is silent or without a score.
    path
        The file to write; its folder is made if it does not exist.
    rows
        Images to show, normally those of the test split. Default: all.
    n_neurons
        How many neurons to draw at most, from 1 to 100.
    seed
        Decides the lots, for each neuron independently of the others drawn.

    Raises
    ------
    ValueError
        No neuron has a score, there is no row, or a row is outside the images.
    KeyError
        A neuron to be drawn has no explanation.
    DifferentImagesError
        ``images`` are not the ones that were recorded.
    """
    check_within("n_neurons", n_neurons, 1, 100)
    images = as_images(images)
    fingerprint = images.fingerprint if recorded.images is not None else None
    check_same_images(fingerprint, recorded.images, len(images), recorded.n_images)
    kept = [int(row) for row in (range(len(images)) if rows is None else rows)]
    shown = ImageSubset(images, kept)  # complains of rows that do not exist
    neurons, quality = best_neurons(scores, n_neurons), qualities_of(scores)
    columns = recorded.select(neurons).block(kept).double().numpy().T
    panels = [
        Panel(
            line_of(explanations[neuron], f"{scores.metric} {quality[neuron]}".replace(" ", "\N{NO-BREAK SPACE}")),
            column,
            choose_pictures(column, (seed, abs(neuron), int(neuron < 0))),  # seeds are never negative, neurons may be
        )
        for neuron, column in zip(neurons, columns, strict=True)
    ]
    path = Path(path)
    check_writable_folder(path.parent)
    draw_sheet(*_headings(scores, recorded.layer, len(panels)), panels, shown, path)
    return path


def best_neurons(scores: Scores, n_neurons: int) -> tuple[int, ...]:
    """Return the neurons that score highest at least, best first: by the score less its standard error.

    Those without an error come last, by the score alone; of equal ones the earlier, and none undefined or silent.
    """
    silent = [False] * len(scores.neurons) if scores.silent is None else scores.silent.tolist()
    told = scores.only([neuron for neuron, nothing in zip(scores.neurons, silent, strict=True) if not nothing])
    ranked = rank(qualities_of(told).values())
    if not ranked:
        raise ValueError(
            f"None of the {len(scores.neurons)} neurons has a defined {scores.metric}. "
            "Score neurons whose activations, recorded and simulated, vary over the images scored on."
        )
    return tuple(told.neurons[place] for place in ranked[:n_neurons])


def choose_pictures(
    activations: Float[np.ndarray, " images"], seed: int | tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Choose images from the top, from the middle third and from the lowest third of the range of activation.

    Within each part the images stand in order of falling activation, of equal ones the earlier first. A part with
    too few images shows fewer, and no image is shown twice.

    Returns
    -------
    tuple[tuple[int, ...], ...]
        For each of ``RANGES``, places in ``activations``.
    """
    lots = np.random.default_rng(seed)
    falling = np.argsort(-activations, kind="stable")
    top, rest = falling[: RANGES[0].n_pictures], falling[RANGES[0].n_pictures :]
    low, high = activations.min(), activations.max()
    third = np.floor(3 * (activations - low) / ((high - low) or 1.0))
    chosen = [top]
    for which, part in ((1, RANGES[1]), (0, RANGES[2])):
        inside = rest[third[rest] == which]
        picked = lots.choice(len(inside), size=min(part.n_pictures, len(inside)), replace=False)
        chosen.append(inside[np.sort(picked)])
    return tuple(tuple(int(place) for place in places) for places in chosen)


def _headings(scores: Scores, layer: str, n_drawn: int) -> tuple[str, str]:
    title = f"The best-explained neurons of layer {layer}" if layer else "The best-explained neurons"
    less = "" if scores.errors is None else " less its error"
    most = f"The {n_drawn} of {len(scores.neurons):,} neurons with the highest {scores.metric}{less}"
    mean = f"Mean of all {len(scores.defined):,} scores: {format_number(scores.mean)}."
    return title, f"{most}, on {scores.n_images:,} images. {mean}"
