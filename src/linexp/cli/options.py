"""Options that several commands have: one name and one meaning everywhere."""

from __future__ import annotations

import warnings
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
        help="efficientnet_lite0, hf:NAME, torchvision:NAME or torchvision:NAME:WEIGHTS (the paper's: "
        "torchvision:resnet50:IMAGENET1K_V1), timm:NAME, or package.module:function for your own "
        "(a function without arguments that returns the pair module, transform).",
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights on this machine: .safetensors or a state dict."),
]
PreprocessName = Annotated[
    str | None,
    option(
        "NAME",
        "How pictures become inputs: unit (scaled to [0, 1] and nothing else), or package.module:function, which makes "
        "a tensor of a picture.",
        "what comes with the model",
    ),
]
ChannelsPlace = Annotated[
    str,
    option(
        "WHERE",
        "Where feature maps have their channels: first or last; auto: first, but what looks like last is refused.",
    ),
]
OutputName = Annotated[
    str | None, option("NAME", "Which tensor to take where a layer returns several: its name or place.", "the first")
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
        "FILE",
        "What sub-folders are called: lines of sub-folder, tab, name; or, if they are wnids, imagenet (WordNet's "
        "words) or imagenet-paper (the paper's, which open_clip brings).",
        "theirs",
    ),
]
Groups = Annotated[
    str | None,
    option(
        "FILE", 'Groups of classes in JSON: {"animal": ["cat", "dog"]}; or wordnet, if they are ImageNet\'s.', "none"
    ),
]
MergeHomonyms = Annotated[
    bool,
    typer.Option(
        "--merge-homonyms",
        help="With --groups wordnet: all meanings of a word are one group, as in the paper's released code.",
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
SplitFile = Annotated[
    Path | None,
    option(
        "FILE",
        "Which images are train, val and test: JSON of lists, CSV of image or row and part (such as images.csv of a "
        "result), or a folder of train_ids.pt, val_ids.pt and test_ids.pt.",
        "drawn with --seed",
    ),
]
Device = Annotated[
    str, option("NAME", "Where the models run: cpu, cuda, cuda:1, mps, …; auto: cuda, else mps, else cpu.")
]
BatchSize = Annotated[int | None, option("N", "Images at a time.", "8 on cpu, 64 on cuda")]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Where recorded activations and embeddings are kept; what was interrupted goes on there.",
        show_default="the user's cache",
    ),
]
NoStore = Annotated[bool, typer.Option("--no-store", help="Keep nothing, and use nothing that was kept.")]
ENCODERS = (
    "hf:NAME_OR_FOLDER, open_clip:ARCHITECTURE,WEIGHTS, conse:efficientnet_lite2 (needs no download), "
    "or package.module:function"
)


def choose_store(folder: Path | None, *, no_store: bool) -> Path | None:
    """Return the folder of the store; where the user's cache cannot be written, it is done without, with a warning."""
    if no_store or folder is not None:
        if no_store and folder is not None:
            raise ValueError(f"--no-store and --store '{folder}' contradict each other. Leave one out.")
        return folder
    from linexp._internal.files import check_writable_folder
    from linexp.store import default_folder

    try:
        return check_writable_folder(default_folder())
    except OSError as error:
        warnings.warn(f"Nothing is stored: {error} Name one with --store.", UserWarning, stacklevel=2)
        return None
