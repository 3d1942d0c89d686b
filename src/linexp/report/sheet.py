"""A sheet of pictures: the best-explained neurons, each with its explanation and with images it answers to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from linexp._checks import check_at_least, check_same_images, check_writable_folder
from linexp.explanation import Explanations
from linexp.matrix import ActivationMatrix
from linexp.report.sheet_layout import RANGES, Line, Pictures, Sheet, draw_sheet, number
from linexp.score.base import Scores


def draw_picture_sheet(
    explanations: Explanations,
    recorded: ActivationMatrix,
    images: Pictures,
    scores: Scores,
    path: Path | str,
    *,
    rows: Sequence[int] | None = None,
    n_neurons: int = 10,
    seed: int = 0,
) -> Path:
    """Draw the best-explained neurons, one per line, and return the PNG file.

    A line shows the weighted concepts (without the bias), the score, how the activations are distributed (number
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
        The images behind the rows of ``recorded``.
    scores
        One score per neuron, higher being better; neurons without a defined score are never drawn.
    path
        The file to write; its folder is made if it does not exist.
    rows
        Images to show, normally those of the test split. Default: all.
    n_neurons
        How many neurons to draw at most.
    seed
        Decides the lots, for each neuron independently of the others drawn.

    Raises
    ------
    ValueError
        No neuron has a score, or ``rows`` is empty.
    DifferentImagesError
        ``images`` and ``recorded`` differ in number.
    """
    check_same_images(None, None, len(images), recorded.n_images)
    kept = list(range(recorded.n_images) if rows is None else rows)
    if not kept:
        raise ValueError("There are 0 rows to show. Give the rows of at least one image, or None for all.")
    neurons = best_neurons(scores, n_neurons)
    columns = recorded.select(neurons).block(kept).double().numpy().T
    lines = tuple(
        Line(explanations[neuron], scores.of(neuron), column, choose_pictures(column, (seed, place)))
        for neuron, column, place in zip(neurons, columns, _places(neurons, scores), strict=True)
    )
    path = Path(path)
    check_writable_folder(path.parent)
    draw_sheet(Sheet(*_headings(scores, recorded.layer, len(lines)), scores.metric, lines), images, kept, path)
    return path


def best_neurons(scores: Scores, n_neurons: int) -> tuple[int, ...]:
    """Return the neurons of highest score, best first; of equal ones the earlier, and none whose score is NaN."""
    check_at_least("n_neurons", n_neurons, 1)
    values: list[float] = scores.values.tolist()
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not known:
        raise ValueError(
            f"None of the {len(values)} neurons has a defined {scores.metric}. "
            "Score neurons whose activations vary over the images scored on."
        )
    known.sort(key=lambda place: -values[place])
    return tuple(scores.neurons[place] for place in known[:n_neurons])


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


def _places(neurons: Sequence[int], scores: Scores) -> list[int]:
    """Return where each neuron stands among all: a seed that, unlike an identifier, is never negative."""
    return [scores.neurons.index(neuron) for neuron in neurons]


def _headings(scores: Scores, layer: str, n_drawn: int) -> tuple[str, str]:
    title = f"The best-explained neurons of layer {layer}" if layer else "The best-explained neurons"
    most = f"The {n_drawn} of {len(scores.neurons):,} neurons with the highest {scores.metric}"
    return title, f"{most}, on {scores.n_images:,} images. Mean over all neurons: {number(scores.mean)}."
