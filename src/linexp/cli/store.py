"""``linexp store list``, ``verify`` and ``prune``: look after the folder in which long work is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import StoreFolder
from linexp.cli.options import option

if TYPE_CHECKING:
    from linexp.store import Store, Stored

store_app = typer.Typer(
    help="Look after what was kept: activations, embeddings, ablation scores, impact.",
    no_args_is_help=True,
    add_completion=False,
)
_UNITS = ("B", "kB", "MB", "GB", "TB")


app.add_typer(store_app, name="store")


@command(store_app, "list")
def show(*, store: StoreFolder = None) -> None:
    """Show what the store holds, the last used first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from linexp.store import list_store

    opened = _open(store)
    entries = list_store(opened)
    table = Table()
    for column in ("kind", "of", "complete", "size", "last used", "folder"):
        table.add_column(column, justify="right" if column in ("complete", "size") else "left")
    if any(one.claims for one in entries):
        table.add_column("at work")
    for one in entries:
        complete = f"{one.n_complete:,} of {one.n_rows:,}"
        name = f"{one.folder.name.rpartition('-')[2][:12]}…"
        cells = [one.kind, escape(one.of) or "damaged", complete, _format_size(one.size), _format_time(one.used), name]
        table.add_row(*cells, *([escape(_at_work(one))] if one.claims else []))
    if entries:
        Console(soft_wrap=True, highlight=False).print(table)
    print(f"{_count(entries)} in the store '{opened.folder}'")


@command(store_app, "verify")
def verify(*, store: StoreFolder = None) -> None:
    """Read every file and compare it with its checksum; exit code 1 if one is damaged."""
    from linexp._internal.checks import StoreMismatchError, listing
    from linexp.store import verify_store

    opened = _open(store)
    n_sound, damaged = verify_store(opened)
    if damaged:
        told = [f"'{path}' ({reason})" for path, reason in damaged.items()]
        raise StoreMismatchError(
            f"{len(damaged)} of {n_sound + len(damaged)} files in the store '{opened.folder}' are damaged: "
            f"{listing(told, 4)}. They are not used: what was in them is computed again when it is needed."
        )
    print(f"{n_sound} files in the store '{opened.folder}', all sound")


@command(store_app, "prune")
def prune(
    *,
    store: StoreFolder = None,
    older_than: str | None = option(None, "AGE", "Remove what was not used for so long: 90m, 12h, 30d or 8w.", "no"),
    max_size: str | None = option(None, "SIZE", "Remove the longest unused until no more is left: 500MB, 10GB.", "no"),
) -> None:
    """Remove what was not used for long, or what is too much; what is in use stays."""
    from linexp.store import list_store, parse_age, parse_size, prune_store

    if older_than is None and max_size is None:
        raise ValueError(
            "Nothing says what can go. Give --older-than (such as 30d), --max-size (such as 10GB) or both."
        )
    age = None if older_than is None else parse_age(older_than)
    size = None if max_size is None else parse_size(max_size)
    opened = _open(store)
    removed = prune_store(opened, older_than=age, max_size=size)
    print(f"removed {_count(removed)}; {_count(list_store(opened))} left in the store '{opened.folder}'")


def _open(folder: Path | None) -> Store:
    from linexp.store import Store

    store = Store.default() if folder is None else Store(folder)
    if store.folder.exists() and not store.folder.is_dir():
        raise NotADirectoryError(f"The store '{store.folder}' is a file. Give the folder --store was given.")
    return store


def _at_work(entry: Stored) -> str:
    """Say how much of an entry is claimed, by whom and since when."""
    if not entry.claims:
        return ""
    n_shards = sum(claim.path.name[0].isdigit() for claim in entry.claims)
    who = {f"{claim.host}:{claim.pid}" for claim in entry.claims}
    since = _format_time(min(claim.since for claim in entry.claims))
    shards = "1 shard" if n_shards == 1 else f"{n_shards} shards"
    return f"{shards} claimed by {who.pop() if len(who) == 1 else f'{len(who)} processes'} since {since}"


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _format_size(n_bytes: float) -> str:
    """Return "1.5 GB" and the like."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} {_UNITS[-1]}"


def _count(entries: Sequence[Stored]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {noun} ({_format_size(sum(one.size for one in entries))})"
