"""``linexp impact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Network, Running, Units
from linexp.cli.options import SkipBroken, flag, option

_OWN = "own"


@command(app)
def impact(
    *,
    network: Network,
    layer: Annotated[
        list[str],
        typer.Option(
            "--layer", "--layers", metavar="NAME", help="Layer to measure; may be repeated. linexp layers lists them."
        ),
    ],
    images: Path = option(..., "DIR", "Folder of pictures, one sub-folder per class."),
    out: Path = option(Path("linexp-impact"), "DIR", "Folder for the table, every neuron's figures and the curves."),
    betas: str | None = option(
        None, "X,X,…", "Shares of the images, highest activations first.", "0.0003,0.002,0.02,0.1,0.5"
    ),
    outputs: str | None = option(
        None,
        "FILE",
        "Which output of the model a class is: lines of sub-folder, tab, number from 0; imagenet, if sub-folders "
        "are wnids; or own, to compare with the model's own answers.",
        "in the order of the sub-folders",
    ),
    n_images: int | None = option(None, "N", "Measure on so many pictures, drawn by --seed.", "all"),
    n_neurons: int | None = option(None, "N", "Measure so many neurons of each layer, drawn by --seed.", "all"),
    seed: int = option(0, "N", "Seed of everything that is drawn."),
    temperature: float | None = option(
        None, "X", "What logits are divided by before the loss.", "fitted on a tenth of the pictures"
    ),
    units: Units,
    as_published: bool = flag("--as-published", "Count one picture more, as the notebook behind Table 1 does."),
    skip_broken: SkipBroken = False,
    running: Running,
    keeping: Keeping,
) -> None:
    """Measure how much each neuron matters to a classifier, and how much of that its highest activations make up.

    Removes every neuron in turn and compares answers and losses, image by image (Section 2 of the paper).
    """
    from linexp._internal.files import check_writable_folder
    from linexp.ablation import find_outputs
    from linexp.ablation.impact import count_images, impact_layers
    from linexp.concepts.vocabulary import open_pictures
    from linexp.forward import find_layers, reuse_large_buffers
    from linexp.models import tell_device, tell_model
    from linexp.report import tell_impact
    from linexp.results import only_readable
    from linexp.store import open_store, with_store

    running.check()
    chosen = units.open()
    if chosen.is_regional:
        raise ValueError(
            f"--pool {units.pool} makes regions, and impact removes a neuron in whole images. Use another."
        )
    kept = keeping.folder()
    shares = _read_betas(betas)
    count_images(1, shares)  # says what is wrong with one
    folder = open_pictures(images, None)
    labels = _OWN if outputs == _OWN else find_outputs(outputs, folder)
    if labels is None and folder.labels is None:
        raise ValueError(
            f"The pictures in '{images}' are in no sub-folders, so they have no labels. Put those of each "
            "class into a sub-folder, or compare with the model's own answers (--outputs own)."
        )
    store = open_store(kept)
    check_writable_folder(out)
    model = network.open(running)
    find_layers(model.module, layer)
    readable = only_readable(folder, leave_out=skip_broken, store=kept)
    if readable is not folder and isinstance(labels, list):
        labels = find_outputs(outputs, readable)
    reuse_large_buffers()
    tell_model(model, network.model)
    tell_device(running.device)
    settings: dict[str, Any] = {"neurons": n_neurons, "n_images": n_images, "seed": seed, "temperature": temperature}
    settings |= {
        "labels": labels,
        "precision": running.precision,
        "batch_size": running.batch_size,
        "engine": running.engine,
        "units": chosen,
    }
    found = with_store(store, lambda store: impact_layers(model, layer, readable, store=store, **settings))
    tell_impact(list(found.values()), shares, out, as_published=as_published)


def _read_betas(text: str | None) -> tuple[float, ...]:
    """Read numbers with commas or spaces between them; ``None``: Table 1's."""
    from linexp.ablation.impact import BETAS

    if text is None:
        return BETAS
    betas: list[float] = []
    for word in text.replace(",", " ").split():
        try:
            betas.append(float(word))
        except ValueError as error:
            raise ValueError(f"'{word}' in --betas is no number. Write shares such as 0.002,0.02,0.1.") from error
    return tuple(betas)
