"""``linexp show`` and ``linexp layers``."""

from __future__ import annotations

from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import ModelName, PreprocessName, ResultFolder, TrustRemoteCode, WeightsFile, option


@app.command()
def show(
    result: ResultFolder,
    neuron: Annotated[int, typer.Argument(metavar="NEURON", help="Number of the neuron, from 0.", show_default=False)],
) -> None:
    """Show one neuron: its explanation, scores, and the images at the two ends of its range."""
    from linexp.commands import run_show

    run_show(result, neuron)


@app.command()
def layers(
    *,
    model: ModelName,
    weights: WeightsFile = None,
    preprocess: PreprocessName = None,
    depth: Annotated[int | None, option("N", "How many levels to show.", "all")] = None,
    side: Annotated[int, option("N", "Side of the grey picture the model is tried on, in pixels.")] = 224,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Show the tree of a model's layers with the shapes they return, to choose one from."""
    from linexp.commands import run_layers

    run_layers(model, weights, depth, side, trust_remote_code=trust_remote_code, preprocess=preprocess)
