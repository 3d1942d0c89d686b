"""``linexp summarize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.options import argument, option

if TYPE_CHECKING:
    from linexp.results import Table


@command(app)
def summarize(
    files: Annotated[
        list[Path], argument("FILE...", "The paper's published results, explanations or scores of ours, as CSV.")
    ],
    *,
    table: Path | None = option(
        None, "NAME", "Also write the table, as NAME.csv, NAME.md and NAME.tex.", "not written"
    ),
) -> Table:
    """Show the mean lengths and scores of files that hold scores, such as the paper's published ones."""
    from linexp.results import draw_table, summarize_files, write_tables

    found, odd = summarize_files(files)
    print(draw_table(found), end="")
    if table is not None:
        print(f"  written to {', '.join(map(str, write_tables(table, {'': found})))}")
    for path, error in odd.items():
        print(f"Left out: {path}: {error}")
    return found
