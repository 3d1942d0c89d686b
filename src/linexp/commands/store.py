"""``linexp store``: look after the folder in which recorded activations, embeddings and impact are kept."""

from __future__ import annotations

import time
from pathlib import Path

from linexp._internal.checks import StoreMismatchError, listing
from linexp.store import Store, Stored, list_store, parse_age, parse_size, prune_store, verify_store

_UNITS = ("B", "kB", "MB", "GB", "TB")


def run_store_list(folder: Path) -> list[Stored]:
    """Print what a store holds, the last used first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    entries = list_store(_open(folder))
    table = Table()
    for column in ("kind", "of", "complete", "size", "last used", "folder"):
        table.add_column(column, justify="right" if column in ("complete", "size") else "left")
    for one in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used))
        complete = f"{one.n_complete:,} of {one.n_rows:,}"
        name = f"{one.folder.name.partition('-')[2][:12]}…"
        table.add_row(one.kind, escape(one.of) or "damaged", complete, format_size(one.size), used, name)
    if entries:
        Console(soft_wrap=True, highlight=False).print(table)
    print(f"{_count(entries)} in the store '{folder}'")
    return entries


def run_store_verify(folder: Path) -> int:
    """Read every file of a store; says how many are sound.

    Raises
    ------
    StoreMismatchError
        Some are not; the message names the first.
    """
    n_sound, damaged, n_in_use = verify_store(_open(folder))
    if damaged:
        told = [f"'{path}' ({reason})" for path, reason in damaged.items()]
        raise StoreMismatchError(
            f"{len(damaged)} of {n_sound + len(damaged)} files in the store '{folder}' are damaged: "
            f"{listing(told, 4)}. They are not used: what was in them is computed again when it is needed."
        )
    print(f"{n_sound} files in the store '{folder}', all sound")
    if n_in_use:
        print(f"{n_in_use} of its entries are just being written and were not read")
    return n_sound


def run_store_prune(folder: Path, older_than: str | None, max_size: str | None) -> list[Stored]:
    """Remove what was not used for long or is too much."""
    if older_than is None and max_size is None:
        raise ValueError(
            "Nothing says what can go. Give --older-than (such as 30d), --max-size (such as 10GB) or both."
        )
    age = None if older_than is None else parse_age(older_than)
    size = None if max_size is None else parse_size(max_size)
    store = _open(folder)
    removed = prune_store(store, older_than=age, max_size=size)
    print(f"removed {_count(removed)}; {_count(list_store(store))} left in the store '{folder}'")
    return removed


def format_size(n_bytes: float) -> str:
    """Return "1.5 GB" and the like."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} {_UNITS[-1]}"


def _open(folder: Path) -> Store:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"The store '{folder}' is a file. Give the folder --store was given.")
    return Store(folder)


def _count(entries: list[Stored]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {noun} ({format_size(sum(one.size for one in entries))})"
