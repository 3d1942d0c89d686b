"""``linexp report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import NoStore, StoreFolder, choose_store, option


@app.command()
def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...",
            help="Folders that linexp explain wrote; those about one layer stand side by side.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path, option("DIR", "Folder for index.html and its thumbnails.", default=False)],
    images: Annotated[
        Path | None, option("DIR", "Where the pictures of the results are now.", "where they were")
    ] = None,
    single_file: Annotated[
        bool, typer.Option("--single-file", help="Put everything into one file; --out may then be a name in .html.")
    ] = False,
    pictures: Annotated[int, option("N", "Pictures of each of the eight ranges of a neuron's activation.")] = 3,
    seed: Annotated[int, option("N", "Seed that draws the pictures and the points of scatter plots.")] = 0,
    shares: Annotated[
        str,
        option(
            "HOW",
            "Area charts. plain: an input counts for each concept it has, as in the paper. divided: once, for the "
            "innermost of them.",
        ),
    ] = "plain",
    store: StoreFolder = None,
    no_store: NoStore = False,
) -> None:
    """Write a page to look at: scores, and a card for each neuron. It opens from disk, without server or network."""
    from linexp.commands import ReportOptions, run_report

    run_report(
        results,
        ReportOptions(out, images, single_file, pictures, seed, shares, choose_store(store, no_store=no_store)),
    )
