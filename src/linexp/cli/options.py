"""How an option is made, and single options that several commands have; those that belong together are in groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(metavar: str, text: str, default: str | bool = True) -> Any:
    """Make an option; ``default`` is what the help says where the default is None."""
    return typer.Option(metavar=metavar, help=text, show_default=default)


def flag(name: str, text: str) -> Any:
    """Make an option without a value."""
    return typer.Option(name, help=text)


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
    Path | None, option("NAME", "Also write the tables, as NAME.csv, NAME.md and NAME.tex.", "not written")
]
Seed = Annotated[int, option("N", "Seed of the split into 70 % train, 10 % validation, 20 % test images.")]
SkipBroken = Annotated[bool, flag("--skip-broken", "Leave out pictures that cannot be read.")]
ENCODERS = (
    "hf:NAME_OR_FOLDER, open_clip:ARCHITECTURE,WEIGHTS, conse:efficientnet_lite2 (needs no download), "
    "or package.module:function"
)
