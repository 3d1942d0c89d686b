"""``linexp impact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import (
    BatchSize,
    ChannelsPlace,
    Device,
    ModelName,
    NoStore,
    OutputName,
    PreprocessName,
    StoreFolder,
    TrustRemoteCode,
    WeightsFile,
    choose_store,
    option,
)


@app.command()
def impact(
    *,
    model: ModelName,
    layer: Annotated[
        list[str],
        typer.Option(
            "--layer", "--layers", metavar="NAME", help="Layer to measure; may be repeated. linexp layers lists them."
        ),
    ],
    images: Annotated[Path, option("DIR", "Folder of pictures, one sub-folder per class.")],
    out: Annotated[Path, option("DIR", "Folder for the table, every neuron's figures and the curves.")] = Path(
        "linexp-impact"
    ),
    betas: Annotated[
        str | None, option("X,X,…", "Shares of the images, highest activations first.", "0.0003,0.002,0.02,0.1,0.5")
    ] = None,
    outputs: Annotated[
        str | None,
        option(
            "FILE",
            "Which output of the model a class is: lines of sub-folder, tab, number from 0; imagenet, if sub-folders "
            "are wnids; or own, to compare with the model's own answers.",
            "in the order of the sub-folders",
        ),
    ] = None,
    weights: WeightsFile = None,
    preprocess: PreprocessName = None,
    n_images: Annotated[int | None, option("N", "Measure on so many pictures, drawn by --seed.", "all")] = None,
    n_neurons: Annotated[
        int | None, option("N", "Measure so many neurons of each layer, drawn by --seed.", "all")
    ] = None,
    seed: Annotated[int, option("N", "Seed of everything that is drawn.")] = 0,
    temperature: Annotated[
        float | None, option("X", "What logits are divided by before the loss.", "fitted on a tenth of the pictures")
    ] = None,
    pool: Annotated[
        str, option("HOW", "From a feature map to the number that orders pictures: mean, max, token or none.")
    ] = "mean",
    channels: ChannelsPlace = "auto",
    token: Annotated[int, option("N", "Which token --pool token takes; 0 is the class token.")] = 0,
    output: OutputName = None,
    precision: Annotated[str, option("NAME", "What the network computes in: float32, bfloat16 or float16.")] = (
        "float32"
    ),
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Count one picture more, as the notebook behind Table 1 does.")
    ] = False,
    device: Device = "auto",
    batch_size: BatchSize = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Measure how much each neuron matters to a classifier, and how much of that its highest activations make up.

    Removes every neuron in turn and compares answers and losses, image by image (Section 2 of the paper).
    """
    from linexp.commands import ImpactOptions, run_impact

    options = ImpactOptions(
        model=model,
        layers=tuple(layer),
        images=images,
        out=out,
        betas=betas,
        outputs=outputs,
        weights=weights,
        preprocess=preprocess,
        n_images=n_images,
        n_neurons=n_neurons,
        seed=seed,
        temperature=temperature,
        pool=pool,
        channels=channels,
        token=token,
        output=output,
        precision=precision,
        as_published=as_published,
        device=device,
        batch_size=batch_size,
        skip_broken=skip_broken,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
    )
    run_impact(options)
