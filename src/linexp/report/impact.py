"""The table, the files and the figure of impact: how much neurons matter, and where in their range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from linexp._internal.files import check_writable_folder, csv_text, write_atomically
from linexp._internal.numbers import exact
from linexp.ablation.impact import TOTALS, Figures, Impact, count_images, mean_figures, measure_figures, top_curve
from linexp.figures import draw_shares
from linexp.results import Cell, Measured, Table, draw_table, write_tables

_TITLE = "Impact of single neurons, in percent: means ± standard errors"
_HEADINGS = {"total": "total %", "signed": "signed %", "share": "images hit %"}


def impact_table(layers: Sequence[Figures]) -> Table:
    """Return a line for each layer, one without its dead neurons if it has any, and one for all (Table 1, 14, 15).

    Parameters
    ----------
    layers
        What ``measure_figures`` returned for each layer, for the same β and images.

    Raises
    ------
    DifferentImagesError
        The layers were measured on different images.
    """
    betas = (f"TI {beta:g} %" for beta in layers[0].betas)
    columns = ("layer", "neurons", "dead", *_HEADINGS.values(), *betas)
    rows = [row for one in layers for row in _rows(one.impact.layer, [one])]
    if len(layers) > 1:
        rows += _rows("all", layers)
    return Table(columns, tuple(rows), _TITLE)


def _rows(name: str, layers: Sequence[Figures]) -> list[tuple[Cell, ...]]:
    n_dead = sum(int(one.is_dead.sum()) for one in layers)
    n_neurons = sum(len(one.values) for one in layers)
    rows = [_row(name, layers, n_dead, with_dead=True)]
    if 0 < n_dead < n_neurons:
        rows.append(_row(f"{name}, without dead", layers, 0, with_dead=False))
    return rows


def _row(name: str, layers: Sequence[Figures], n_dead: int, *, with_dead: bool) -> tuple[Cell, ...]:
    means = mean_figures(layers, with_dead=with_dead)
    pairs = zip(means.values.tolist(), means.errors.tolist(), strict=True)
    return (name, means.n_neurons, n_dead, *(Measured(100 * mean, 100 * error) for mean, error in pairs))


def neurons_csv(layers: Sequence[Figures]) -> str:
    """Return every figure of every neuron with its standard error over images as CSV; what is undefined is empty."""
    names = [*TOTALS, *(f"ti_{beta:g}" for beta in layers[0].betas)]
    lines: list[list[object]] = [["layer", "neuron", "max_activation", "dead"]]
    lines[0] += [column for name in names for column in (name, f"{name}_error")]
    for layer in layers:
        highest = layer.impact.activations.values.amax(0).tolist()
        for row, neuron in enumerate(layer.impact.neurons):
            pairs = zip(layer.values[row].tolist(), layer.errors[row].tolist(), strict=True)
            numbers = (exact(number) for pair in pairs for number in pair)
            dead = int(layer.is_dead[row])
            lines.append([layer.impact.layer, neuron, repr(highest[row]), dead, *numbers])
    return csv_text(lines)


def write_neurons(layers: Sequence[Figures], path: Path) -> Path:
    """Write ``neurons_csv`` into a file and return it."""
    check_writable_folder(path.parent)
    write_atomically(path, neurons_csv(layers).encode())
    return path


def draw_top_impact(impacts: Sequence[Impact], path: Path | str) -> Path:
    """Draw each layer's mean Top Impact for every β, with the diagonal of evenly spread impact, into a PNG file.

    Parameters
    ----------
    impacts
        Output of ``impact``, one for each layer.
    path
        The file to write; its folder is made if it does not exist.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        No neuron has any impact.
    OSError
        The folder cannot be made or written.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    check_writable_folder(path.parent)
    curves = {one.layer: top_curve(one).numpy() for one in impacts}
    curves = {name: curve for name, curve in curves.items() if not math.isnan(curve[-1])}
    if not curves:
        raise ValueError("No neuron has any impact on any image, so there is no curve to draw. Measure other layers.")
    figure = Figure((10.4, 4.6), dpi=150, facecolor="white", layout="constrained")
    for place, axes in enumerate(figure.subplots(1, 2)):
        draw_shares(curves, axes, logarithmic=place == 1)
    figure.savefig(path, format="png")
    return path


def tell_impact(impacts: Sequence[Impact], betas: Sequence[float], out: Path, *, as_published: bool = False) -> None:
    """Print the table of some layers, and write it, every neuron's figures and the curves into a folder."""
    first = impacts[0]
    figures = [measure_figures(one, betas, as_published=as_published) for one in impacts]
    table = impact_table(figures)
    print(draw_table(table), end="")
    print(
        f"{first.n_images:,} images, {100 * first.accuracy:.1f} % answered right, "
        f"mean loss {float(first.losses.mean()):.4f} at temperature {first.temperature:.3f}. "
        "Impact is a share of these; evenly spread impact has TI β = β."
    )
    few = [beta for beta, count in zip(betas, count_images(first.n_images, betas), strict=True) if count == 0]
    if few and not as_published:
        print(f"TI {few[0]:g} needs {math.ceil(1 / few[0]):,} images or more: {few[0]:g} of these is less than one.")
    written = write_tables(out / "impact", {"": table})
    written.append(write_neurons(figures, out / "neurons.csv"))
    try:
        written.append(draw_top_impact(impacts, out / "top-impact.png"))
    except ValueError as error:
        print(f"No figure: {error}")
    print(f"  saved in {out}: {', '.join(path.name for path in written)}")
