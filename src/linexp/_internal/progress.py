"""Progress of long work, on standard error, so that it never mixes with results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress_bar(what: str, total: int, unit: str = "images", *, show: bool = True) -> Generator[Advance, None, None]:
    """Show how far a piece of work is; yields a function to call with the number of units just done.

    On a terminal a bar with units per second and the time left; elsewhere, such as in a log, one line at the end.
    """
    if not show or sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - None without a console
        yield lambda _: None
    elif sys.stderr.isatty():
        yield from _draw_bar(what, total, unit)
    else:
        started, done = time.perf_counter(), 0

        def count(n: int) -> None:
            nonlocal done
            done += n

        yield count
        seconds = time.perf_counter() - started
        print(f"{what}: {done} {unit} in {seconds:.1f} s ({done / max(seconds, 1e-9):.1f}/s)", file=sys.stderr)


def _draw_bar(what: str, total: int, unit: str) -> Generator[Advance, None, None]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Task as RichTask
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: RichTask) -> Text:
            speed = task.finished_speed or task.speed or task.completed / max(task.elapsed or 0.0, 1e-9)
            return Text(f"{speed:.1f} {unit}/s" if speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.advance(task, n)
