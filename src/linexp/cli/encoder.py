"""``linexp encoder fit``: an encoder of one's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Labelled, Running
from linexp.cli.options import Seed, SplitFile, option

encoder_app = typer.Typer(
    help="Make what finds words in pictures out of your own: for drawings, scans, satellite images.",
    no_args_is_help=True,
    add_completion=False,
)

app.add_typer(encoder_app, name="encoder")


@command(encoder_app, "fit")
def fit(
    *,
    labelled: Labelled,
    features: str = option(..., "NAME", "The network whose features are used, as --model of linexp explain."),
    out: Path = option(..., "DIR", "Folder for the encoder, which --encoder and --simulator take."),
    layer: str | None = option(None, "NAME", "Which layer gives the features.", "the one before the head"),
    half: str = option(
        "both",
        "WHICH",
        "first or second: every second training image, so that a judge learns from others.",
    ),
    seed: Seed = 0,
    split: SplitFile = None,
    running: Running,
    keeping: Keeping,
) -> None:
    """Fit an encoder on the training images: from a network's features to what the pictures are called.

    Ridge regression in closed form; the words are MiniLM's, which knows any English word, also those no picture has.
    """
    from linexp._internal.checks import check_at_least, check_choice, choose_device
    from linexp._internal.files import check_writable_folder
    from linexp.concepts import Half, LabelConcepts, fit_on_train
    from linexp.matrix import Split
    from linexp.store import open_store, with_store

    check_choice("half", half, ("first", "second", "both"))
    check_at_least("seed", seed, 0)
    running.check()
    images, store = labelled.open(), open_store(keeping.folder())
    check_writable_folder(out)
    parts = Split.random(len(images), seed) if split is None else Split.from_file(split, images)
    labels = LabelConcepts(labelled.open_groups(images))
    device = choose_device(running.device)
    made = with_store(
        store,
        lambda store: fit_on_train(
            images,
            parts,
            features,
            layer=layer,
            labels=labels,
            half=cast(Half, half),
            device=device,
            batch_size=running.batch_size,
            engine=running.runs,
            store=store,
        ),
    )
    made.save(out)
    found = made.calibration
    print(made.told())
    print(f"  features of layer {made.layer}, fitted on {made.source} with penalty {made.penalty:.3g}")
    print(f"  P(concept | image) = σ({found.a:.4g}·(cos {found.b:+.4g})), expected calibration error {found.ece:.4f}")
    print(f"  saved in {out}")
