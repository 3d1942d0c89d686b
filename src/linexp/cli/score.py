"""``linexp score``, ``linexp simulate`` and ``linexp calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import (
    ENCODERS,
    BatchSize,
    CalibrationName,
    ClassNames,
    Device,
    Groups,
    MergeHomonyms,
    NoStore,
    ResultFolder,
    Seed,
    StoreFolder,
    Template,
    TrustRemoteCode,
    choose_store,
    option,
)

Simulator = Annotated[
    str | None,
    option("NAME", f"What judges which concepts are in an image: {ENCODERS}.", "what explained"),
]
Others = Annotated[
    Path | None,
    option("FILE", "Other explanations, CSV or JSON: ours, the paper's, neuron and text.", "those in DIR"),
]
Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT...",
        help="Folders that linexp explain wrote (--out), and files of other explanations (CSV or JSON) of the "
        "neurons of the first.",
        show_default=False,
    ),
]
TableName = Annotated[
    Path | None, option("NAME", "Also write the tables, as NAME.csv, NAME.md and NAME.tex.", "not written")
]
Pictures = Annotated[Path | None, option("DIR", "Where the pictures of the result are now.", "where they were")]


@app.command()
def score(
    results: Results,
    *,
    explanations: Others = None,
    simulator: Simulator = None,
    metrics: Annotated[
        str,
        option("LIST", "Which scores, with commas: correlation, cosine, auprc, f1, iou, spearman, auroc."),
    ] = "correlation",
    top_share: Annotated[
        float, option("X", "On this share of the images a neuron is called active (auprc, f1, iou, auroc).")
    ] = 0.05,
    table: TableName = None,
    part: Annotated[str, option("NAME", "Which images of the split: test; val and train only with --force.")] = "test",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Score on train or val images, explanations that were fitted on test images, or explanations whose "
            "layer is called otherwise.",
        ),
    ] = False,
    calibration: CalibrationName = None,
    template: Template = None,
    images: Pictures = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    trust_remote_code: TrustRemoteCode = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Measure how true explanations are: predict the neurons on the test images and compare with what they did.

    Several results are judged by the same simulator, which looks at the images once; one table compares them.
    """
    from linexp.commands import run_score
    from linexp.results import ScoreOptions

    options = ScoreOptions(
        explanations=explanations,
        simulator=simulator,
        calibration=calibration,
        template=tuple(template or ()),
        images=images,
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
        metrics=tuple(metric.strip() for metric in metrics.split(",")),
        top_share=top_share,
        part=part,
        force=force,
        table=table,
    )
    run_score(results, options)


@app.command()
def simulate(
    result: ResultFolder,
    *,
    out: Annotated[Path | None, option("FILE", "Where to write, as safetensors.", "into DIR")] = None,
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
    """Predict what the neurons do on all images from their explanations alone, and write it into a file."""
    from linexp.commands import run_simulate
    from linexp.results import ScoreOptions

    options = ScoreOptions(
        explanations=explanations,
        simulator=simulator,
        calibration=calibration,
        template=tuple(template or ()),
        images=images,
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
    )
    run_simulate(result, options, out)


@app.command()
def calibrate(
    *,
    encoder: Annotated[str, option("NAME", f"What to calibrate: {ENCODERS}.")],
    images: Annotated[Path, option("DIR", "Folder of pictures, one sub-folder per class.")],
    out: Annotated[Path, option("FILE", "Where to write the calibration: a name that ends in .json.")],
    class_names: ClassNames = None,
    groups: Groups = None,
    merge_homonyms: MergeHomonyms = False,
    template: Template = None,
    max_share: Annotated[float, option("X", "Leave out concepts in more than this share of the images.")] = 0.3,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: BatchSize = None,
    trust_remote_code: TrustRemoteCode = False,
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Fit what turns an encoder's similarities into probabilities, on pictures whose classes are known.

    Fits on the training part of the split and measures on its validation part; the test part is not looked at.
    Draws the reliability curve beside the file.
    """
    from linexp.commands import CalibrateOptions, run_calibrate

    options = CalibrateOptions(
        encoder=encoder,
        images=images,
        out=out,
        class_names=class_names,
        groups=groups,
        merge_homonyms=merge_homonyms,
        template=tuple(template or ()),
        max_share=max_share,
        seed=seed,
        device=device,
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        store=choose_store(store, no_store=no_store),
    )
    run_calibrate(options)
