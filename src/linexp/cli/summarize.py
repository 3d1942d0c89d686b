"""``linexp summarize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import option


@app.command()
def summarize(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The paper's published results, explanations or scores of ours, as CSV.",
            show_default=False,
        ),
    ],
    *,
    table: Annotated[
        Path | None, option("NAME", "Also write the table, as NAME.csv, NAME.md and NAME.tex.", "not written")
    ] = None,
) -> None:
    """Show the mean lengths and scores of files that hold scores, such as the paper's published ones."""
    from linexp.commands import run_summarize

    run_summarize(files, table)
