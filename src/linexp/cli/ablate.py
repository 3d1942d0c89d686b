"""``linexp ablate``."""

from __future__ import annotations

from typing import Annotated

from linexp.cli.app import app
from linexp.cli.options import BatchSize, CalibrationName, Device, ResultFolder, Template, TrustRemoteCode, option
from linexp.cli.score import Others, Pictures, Simulator


@app.command()
def ablate(
    result: ResultFolder,
    *,
    scaling: Annotated[
        str, option("NAME", "How simulations are scaled to the neuron: optim, norm (least squares) or optim-adam.")
    ] = "optim",
    temperature: Annotated[
        float | None, option("X", "What logits are divided by before the loss.", "fitted on validation images")
    ] = None,
    replace: Annotated[
        str, option("NAME", "What becomes of a feature map: set (one value everywhere) or shift (keeps its pattern).")
    ] = "set",
    outputs: Annotated[
        str | None,
        option(
            "FILE",
            "Which output of the model a class is: lines of sub-folder, tab, number from 0; or imagenet, if "
            "sub-folders are wnids.",
            "imagenet after --class-names imagenet, else in the order of the sub-folders",
        ),
    ] = None,
    explanations: Others = None,
    simulator: Simulator = None,
    calibration: CalibrationName = None,
    template: Template = None,
    images: Pictures = None,
    device: Device = None,
    batch_size: BatchSize = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Measure how much of what a neuron does for the model its simulation does: 1 all of it, 0 no more than its mean.

    Replaces each neuron by its simulation, scaled on the validation images, and compares the loss on the test images.
    """
    from linexp.commands import ScoreOptions
    from linexp.commands.ablate import AblateOptions, run_ablate

    simulating = ScoreOptions(
        explanations=explanations,
        simulator=simulator,
        calibration=calibration,
        template=tuple(template or ()),
        images=images,
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
    )
    run_ablate(result, simulating, AblateOptions(scaling, temperature, replace, outputs))
