"""``linexp ablate``."""

from __future__ import annotations

from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import (
    BatchSize,
    CalibrationName,
    Device,
    NoStore,
    StoreFolder,
    Template,
    TrustRemoteCode,
    choose_store,
    option,
)
from linexp.cli.score import Others, Pictures, Results, Simulator, TableName


@app.command()
def ablate(
    results: Results,
    *,
    scaling: Annotated[
        str, option("NAME", "How simulations are scaled to the neuron: optim, norm (least squares) or optim-adam.")
    ] = "optim",
    temperature: Annotated[
        float | None, option("X", "What logits are divided by before the loss.", "fitted on validation images")
    ] = None,
    replace: Annotated[
        str,
        option(
            "NAME",
            "What becomes of a feature map or of tokens: set (one value everywhere), shift (keeps the pattern), or "
            "auto: shift where more than a linear head reads the pattern, else set, which is as exact there.",
        ),
    ] = "auto",
    outputs: Annotated[
        str | None,
        option(
            "FILE",
            "Which output of the model a class is: lines of sub-folder, tab, number from 0; or imagenet, if "
            "sub-folders are wnids.",
            "imagenet after --class-names imagenet, else in the order of the sub-folders",
        ),
    ] = None,
    table: TableName = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Take explanations that were fitted on test images, or whose layer is called otherwise."
        ),
    ] = False,
    explanations: Others = None,
    simulator: Simulator = None,
    calibration: CalibrationName = None,
    template: Template = None,
    images: Pictures = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    trust_remote_code: TrustRemoteCode = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Measure how much of what a neuron does for the model its simulation does: 1 all of it, 0 no more than its mean.

    Replaces each neuron by its simulation, scaled on the validation images, and compares the loss on the test images.
    Needs pictures of the model's own classes. Says too how much a constant does, which knows nothing of the image, what
    the recorded activations themselves score, and whether the loss rises or falls. Labels know the class whose loss it
    is; a judge in words (--simulator) does not.
    """
    from linexp.commands import AblateOptions, run_ablate
    from linexp.results import ScoreOptions

    simulating = ScoreOptions(
        explanations=explanations,
        simulator=simulator,
        calibration=calibration,
        template=tuple(template or ()),
        images=images,
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
        table=table,
        force=force,
    )
    run_ablate(results, simulating, AblateOptions(scaling, temperature, replace, outputs))
