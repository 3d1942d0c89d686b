"""Options that several commands have: one name and one meaning everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(metavar: str, text: str, default: str | bool = True) -> Any:
    """Make an option; ``default`` is what the help says where the default is None."""
    return typer.Option(metavar=metavar, help=text, show_default=default)


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="efficientnet_lite0, hf:NAME, torchvision:NAME, timm:NAME, or package.module:function for your own "
        "(a function without arguments that returns the model).",
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights on this machine: .safetensors or a state dict."),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with an hf: model. Read it first.")
]
ResultFolder = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Folder of one layer that linexp explain wrote (--out).", show_default=False),
]
ClassNames = Annotated[
    str | None,
    option(
        "FILE", "What sub-folders are called: lines of sub-folder, tab, name; or imagenet, if they are wnids.", "theirs"
    ),
]
Groups = Annotated[
    str | None,
    option(
        "FILE", 'Groups of classes in JSON: {"animal": ["cat", "dog"]}; or wordnet, if they are ImageNet\'s.', "none"
    ),
]
CalibrationName = Annotated[
    str | None,
    option(
        "FILE",
        "Calibration of the encoder, from linexp calibrate; or the name under which linexp knows the same weights.",
        "comes with linexp",
    ),
]
Template = Annotated[
    list[str] | None,
    option("TEXT", 'What the encoder is told for a concept, such as "a photo of a {}"; repeated: averaged.', "{}"),
]
Seed = Annotated[int, option("N", "Seed of the split into 70 % train, 10 % validation, 20 % test images.")]
Device = Annotated[str | None, option("NAME", "Where the models run: cpu, cuda, cuda:1, …", "cpu")]
BatchSize = Annotated[int | None, option("N", "Images at a time.", "8 on cpu, 64 on cuda")]
ENCODERS = (
    "hf:NAME_OR_FOLDER, open_clip:ARCHITECTURE,WEIGHTS, conse:efficientnet_lite2 (needs no download), "
    "or package.module:function"
)
