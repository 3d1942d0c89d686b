"""``linexp store list``, ``verify`` and ``prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linexp.cli.app import app
from linexp.cli.options import StoreFolder, option

store_app = typer.Typer(
    help="Look after what was kept: activations, embeddings, ablation scores, impact.",
    no_args_is_help=True,
    add_completion=False,
)


app.add_typer(store_app, name="store")


@store_app.command("list")
def list_store(*, store: StoreFolder = None) -> None:
    """Show what the store holds, the last used first."""
    from linexp.commands import run_store_list

    run_store_list(_folder(store))


@store_app.command("verify")
def verify(*, store: StoreFolder = None) -> None:
    """Read every file and compare it with its checksum; exit code 1 if one is damaged."""
    from linexp.commands import run_store_verify

    run_store_verify(_folder(store))


@store_app.command("prune")
def prune(
    *,
    store: StoreFolder = None,
    older_than: Annotated[
        str | None, option("AGE", "Remove what was not used for so long: 90m, 12h, 30d or 8w.", "no")
    ] = None,
    max_size: Annotated[
        str | None, option("SIZE", "Remove the longest unused until no more is left: 500MB, 10GB.", "no")
    ] = None,
) -> None:
    """Remove what was not used for long, or what is too much; what is in use stays."""
    from linexp.commands import run_store_prune

    run_store_prune(_folder(store), older_than, max_size)


def _folder(store: Path | None) -> Path:
    from linexp.store import default_folder

    return default_folder() if store is None else store
