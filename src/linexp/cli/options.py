"""How an option is made, and single options that several commands have; those that belong together are in groups."""

from __future__ import annotations

from dataclasses import MISSING, field
from pathlib import Path
from typing import Annotated, Any

import typer


def told(metavar: str, text: str, shown: str | bool = True) -> Any:
    """Say how an option is met; ``shown`` is what the help says where the default is None."""
    return typer.Option(metavar=metavar, help=text, show_default=shown)


def option(default: Any, metavar: str, text: str, shown: str | bool = True) -> Any:
    """Make an option, a field of a group or a parameter of a command; ``...``: it must be given.

    It is a dataclass field, so that a group has true defaults in Python; ``command`` reads both kinds alike.
    """
    return field(default=MISSING if default is ... else default, metadata={"told": told(metavar, text, shown)})


def flag(name: str, text: str) -> Any:
    """Make an option without a value."""
    return field(default=False, metadata={"told": typer.Option(name, help=text)})


def argument(metavar: str, text: str) -> Any:
    """Make an argument."""
    return typer.Argument(metavar=metavar, help=text, show_default=False)


ResultFolder = Annotated[Path, argument("DIR", "Folder of one layer that linexp explain wrote (--out).")]
Results = Annotated[
    list[Path],
    argument(
        "RESULT...",
        "Folders that linexp explain wrote (--out), and files of other explanations (CSV or JSON) of the neurons of "
        "the first.",
    ),
]
TableName = Annotated[
    Path | None, told("NAME", "Also write the tables, as NAME.csv, NAME.md and NAME.tex.", "not written")
]
Seed = Annotated[int, told("N", "Seed of the split into 70 % train, 10 % validation, 20 % test images.")]
SplitFile = Annotated[
    Path | None,
    told(
        "FILE",
        "Which images are train, val and test: JSON of lists, CSV of image or row and part (such as images.csv of a "
        "result), or a folder of train_ids.pt, val_ids.pt and test_ids.pt.",
        "drawn with --seed",
    ),
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read.")]
ENCODERS = (
    "hf:NAME_OR_FOLDER, open_clip:ARCHITECTURE,WEIGHTS, conse:efficientnet_lite2 (needs no download), "
    "fit:NETWORK (fitted here, on half of the training images), the folder of an encoder from linexp encoder fit, "
    "or package.module:function"
)
