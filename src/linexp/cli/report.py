"""``linexp report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping
from linexp.cli.options import argument, flag, option


@command(app)
def report(
    results: Annotated[
        list[Path],
        argument("DIR...", "Folders that linexp explain wrote; those about one layer stand side by side."),
    ],
    *,
    out: Path = option(..., "DIR", "Folder for index.html and its thumbnails.", False),
    images: Path | None = option(None, "DIR", "Where the pictures of the results are now.", "where they were"),
    single_file: bool = flag("--single-file", "Put everything into one file; --out may then be a name in .html."),
    pictures: int = option(3, "N", "Pictures of each of the eight ranges of a neuron's activation."),
    seed: int = option(0, "N", "Seed that draws the pictures and the points of scatter plots."),
    shares: str = option(
        "plain",
        "HOW",
        "Area charts. plain: an input counts for each concept it has, as in the paper. divided: once, for the "
        "innermost of them.",
    ),
    keeping: Keeping,
) -> Path:
    """Write a page to look at: scores, and a card for each neuron. It opens from disk, without server or network."""
    from linexp.report import write_report
    from linexp.results import read_result, results_in, with_pictures

    kept = keeping.folder()
    folders = [found for folder in results for found in results_in(folder)]
    found = [with_pictures(read_result(folder), images, kept) for folder in folders]
    how: dict[str, Any] = {"single_file": single_file, "n_pictures": pictures, "seed": seed, "shares": shares}
    page = write_report(found, out, **how)
    size = page.stat().st_size / 1e6
    print(f"{len(found)} result{'s' if len(found) > 1 else ''} in {page} ({size:.1f} MB)")
    print(f"Open it in a browser: {page.resolve().as_uri()}")
    return page
